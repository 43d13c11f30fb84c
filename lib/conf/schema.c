#include "conf/schema.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/engine.h"
#include "frag/reasm.h"
#include "hold/hold.h"
#include "numbers/numbers.h"
#include "replay/replay.h"
#include "route/trie.h"
#include "sa/sa.h"
#include "worker/stage.h"
#include "worker/worker.h"

#define WORD_LIST(name) static const struct conf_word name[]

WORD_LIST(idles) = { { "poll", CONF_IDLE_POLL }, { "sleep", CONF_IDLE_SLEEP }, { 0 } };
WORD_LIST(numas) = { { "prefer", CONF_NUMA_PREFER }, { "strict", CONF_NUMA_STRICT }, { 0 } };
WORD_LIST(engines) = { { "inline", CONF_ENGINE_INLINE },
		       { "cryptodev", CONF_ENGINE_CRYPTODEV },
		       { "ipsec_mb", CONF_ENGINE_IPSEC_MB },
		       { "openssl", CONF_ENGINE_OPENSSL },
		       { 0 } };
WORD_LIST(acquires) = { { "drop", CONF_ACQUIRE_DROP }, { "hold", CONF_ACQUIRE_HOLD }, { 0 } };
WORD_LIST(sides) = { { "black", CONF_BLACK }, { "red", CONF_RED }, { 0 } };
WORD_LIST(autos) = { { "auto", CONF_AUTO }, { 0 } };
WORD_LIST(auto_off) = { { "auto", true }, { "off", false }, { 0 } };
WORD_LIST(all) = { { "all", CONF_ALL }, { 0 } };
WORD_LIST(any) = { { "any", CONF_ALL }, { 0 } };
WORD_LIST(directions) = { { "in", CONF_IN }, { "out", CONF_OUT }, { 0 } };
WORD_LIST(protos) = { { "esp", CONF_ESP }, { "ah", CONF_AH }, { 0 } };
WORD_LIST(modes) = { { "tunnel", CONF_TUNNEL },
		     { "transport", CONF_TRANSPORT },
		     { "beet", CONF_BEET },
		     { "iptfs", CONF_IPTFS },
		     { 0 } };
WORD_LIST(dfs) = {
	{ "copy", CONF_DF_COPY }, { "set", CONF_DF_SET }, { "clear", CONF_DF_CLEAR }, { 0 }
};
WORD_LIST(frags) = {
	{ "pre", CONF_FRAG_PRE }, { "post", CONF_FRAG_POST }, { "none", CONF_FRAG_NONE }, { 0 }
};
WORD_LIST(labels) = { { "hash", CONF_FLOW_LABEL_HASH }, { "copy", CONF_FLOW_LABEL_COPY }, { 0 } };
WORD_LIST(fallbacks) = { { "fallback", CONF_WORKER_FALLBACK }, { 0 } };
WORD_LIST(ipcomps) = { { "deflate", CONF_IPCOMP_DEFLATE }, { 0 } };
WORD_LIST(lane_bys) = { { "flow", CONF_LANE_BY_FLOW }, { "class", CONF_LANE_BY_CLASS }, { 0 } };
WORD_LIST(layers) = { { "l3", CONF_LAYER_L3 }, { "l2", CONF_LAYER_L2 }, { 0 } };
WORD_LIST(protocols) = { { "any", CONF_PROTOCOL_ANY },
			 { "tcp", 6 },
			 { "udp", 17 },
			 { "icmp", CONF_PROTOCOL_ICMP },
			 { 0 } };
WORD_LIST(actions) = {
	{ "protect", CONF_PROTECT }, { "bypass", CONF_BYPASS }, { "discard", CONF_DISCARD }, { 0 }
};

#define KI	   UINT64_C(1024)
#define MI	   (KI * KI)
#define GI	   (KI * MI)
#define NO_NUMBERS 1, 0 /* words only */
#define TIME_MAX   UINT64_C(3600000000) * 24 * 365

/* What a limit costs: an SA with a window of 1024, a packet buffer for an MTU of 1500, a scattered
 * route of the usual length (/24, /48).
 */
#define SA_COST                                                                \
	(sizeof(struct sa) + sizeof(struct sa_cold) + sizeof(struct session) + \
	 sizeof(struct replay) + 1024 / 8 + NUMBERS_OCTETS + 3 * SLAB_BOOK_OCTETS)
#define MBUF_COST  (sizeof(struct rte_mbuf) + sizeof(struct pkt) + RTE_MBUF_DEFAULT_BUF_SIZE)
#define GROUP_COST (TRIE_GROUP * sizeof(uint32_t))

#define SIZE(item, field) sizeof(((struct item *)0)->field)
#define ROW(block, type, sub, flags, item, field, cost, ...)                          \
	{                                                                             \
		BLOCK_##block, TYPE_##type, sub, flags, offsetof(struct item, field), \
			SIZE(item, field), cost, __VA_ARGS__                          \
	}
#define ROOT(type, sub, flags, field, ...) \
	ROW(ROOT, type, BLOCK_##sub, flags, conf, field, 0, __VA_ARGS__)
#define GATEWAY(type, flags, field, ...) \
	ROW(GATEWAY, type, 0, flags, conf_gateway, field, 0, __VA_ARGS__)
#define PORT(type, flags, field, ...) ROW(PORT, type, 0, flags, conf_port, field, 0, __VA_ARGS__)
#define SA(type, flags, field, ...)   ROW(SA, type, 0, flags, conf_sa, field, 0, __VA_ARGS__)
#define SA_BLOCK(type, flags, sub, field, ...) \
	ROW(SA, type, BLOCK_##sub, flags, conf_sa, field, 0, __VA_ARGS__)
#define SUB(block, type, item, field, ...) ROW(block, type, 0, 0, item, field, 0, __VA_ARGS__)
#define IPTFS(type, flags, field, ...) \
	ROW(IPTFS, type, 0, flags, conf_sa, iptfs.field, 0, __VA_ARGS__)
#define POLICY(type, flags, field, ...) \
	ROW(POLICY, type, 0, flags, conf_policy, field, 0, __VA_ARGS__)

#define TUNNEL(type, flags, field, ...) \
	ROW(TUNNEL, type, 0, flags, conf_tunnel, field, 0, __VA_ARGS__)
#define HALF(name, help)                                                                          \
	{                                                                                         \
		BLOCK_TUNNEL, TYPE_MAP, BLOCK_SA, KEY_APART, 0, 0, 0, name, NULL, 0, 0, NULL, "", \
			help                                                                      \
	}

/* clang-format off */
const struct conf_key conf_keys[] = {
	/* name, default, min, max, words, unit, help */
	ROOT(NUMBER, ROOT, 0, version, "version", "1", 1, 1, NULL, "", "Version of this format."),
	ROOT(MAP, GATEWAY, KEY_APART, gateway, "gateway", NULL, 0, 0, NULL, "", "What concerns the gateway as a whole."),
	ROOT(LIST, PORT, KEY_APART, ports, "ports", NULL, 1, PORTS_MAX, NULL, "", "The network ports."),
	ROOT(LIST, ROUTE, KEY_APART, routes, "routes", NULL, 0, 0, NULL, "", "Static routes."),
	ROOT(LIST, NEIGHBOUR, KEY_APART, neighbours, "neighbours", NULL, 0, 0, NULL, "", "Static neighbours."),
	ROOT(LIST, TUNNEL, KEY_APART, sas, "tunnels", NULL, 0, 0, NULL, "",
	     "Short form: one entry makes the SAs NAME.out and NAME.in, and a policy of the same name for each, behind all of policies. Takes every key of sas but direction, with local and remote for src and dst; its out and in take them too, and override. Either may be a list: an SA for each, of one bundle, or with a dscp_set each; NAME.out.d46.w0 is then for class 46 and worker 0."),
	ROOT(LIST, SA, KEY_APART, sas, "sas", NULL, 0, 0, NULL, "", "Long form: security associations of one direction each."),
	ROOT(LIST, POLICY, KEY_APART, policies, "policies", NULL, 0, 0, NULL, "",
	     "The order is the precedence. What no policy matches is dropped."),

	GATEWAY(NAME, 0, name, "name", "espgw", 0, 0, NULL, "", "Name of this gateway in reports."),
	GATEWAY(NUMBER, 0, idle, "idle", "poll", NO_NUMBERS, idles, "",
		"What a worker does when nothing comes: poll, or sleep in short naps, for laboratories and shared machines."),
	GATEWAY(ENGINES, KEY_RESTART, crypto, "crypto", "[inline, cryptodev, ipsec_mb, openssl]", NO_NUMBERS, engines, "",
		"Crypto engines in order of preference. The first that can serve an SA does, and what it cannot take at the moment ipsec_mb or openssl does, so one of these must be there. inline: the port's own device, see ports[].inline; cryptodev: a device beside the CPU, see crypto_devices. An engine without a device is passed over."),
	GATEWAY(DEVICES, KEY_RESTART, crypto_devices, "crypto_devices", NULL, 0, 0, NULL, "",
		"The crypto devices that the engine cryptodev uses, such as [\"0000:3d:01.0\"] or [crypto_aesni_gcm0]: PCI addresses, or DPDK device arguments, plugged in here. Left out: all that DPDK has found."),
	GATEWAY(TEXT, KEY_RESTART, state_file, "state_file", NULL, 0, 0, NULL, "path",
		"Where sequence numbers survive a stop and a crash, see espgw(8). Left out: a laboratory."),
	GATEWAY(NUMBER, 0, state_block, "state_block", "auto", 64, 1 << 30, autos, "numbers",
		"So many numbers at least are reserved at a time in state_file, for each SA and lane: outbound, a crash skips at most so many; inbound, after one a peer is heard again when it has sent as many. auto: outbound 1Mi, or 64Ki without esn; inbound 1Ki, or 64Ki to begin with for SAs of a key daemon."),
	GATEWAY(NAME, 0, socket_group, "socket_group", "espgw", 0, 0, NULL, "", "The group that may read the control socket."),
	ROW(GATEWAY, NUMBER, 0, KEY_RESTART, conf_gateway, max_sas, SA_COST, "max_sas", "64Ki", 1, 64 * MI, NULL, "SAs",
	    "Room for so many SAs, both directions counted."),
	ROW(GATEWAY, MAP, BLOCK_MAX_ROUTES, KEY_RESTART, conf_gateway, max_routes, 0, "max_routes", NULL, 0, 0, NULL, "",
	    "Room for so many routes."),
	ROW(GATEWAY, NUMBER, 0, KEY_RESTART, conf_gateway, key_cache, 1, "key_cache", "16Mi", 64 * KI, 64 * GI, NULL, "octets",
	    "Memory of each worker for expanded keys."),
	GATEWAY(NUMBER, 0, burst, "burst", "32", 1, BURST_MAX, NULL, "packets", "Packets a worker takes from a queue at once."),
	ROW(GATEWAY, NUMBER, 0, KEY_RESTART, conf_gateway, mbufs, MBUF_COST, "mbufs", "auto", 512, 64 * MI, autos, "",
	    "Packet buffers. auto: what queues and bursts need."),
	GATEWAY(NUMBER, KEY_RESTART, numa, "numa", "prefer", NO_NUMBERS, numas, "",
		"Memory of another socket is used when need be, or never."),
	GATEWAY(NUMBER, 0, replay_window_min, "replay_window_min", "0", 0, 65536, NULL, "packets",
		"Raises the replay window that a key daemon asks for."),
	GATEWAY(TIME, 0, orphan_timeout_us, "orphan_timeout", "1h", 0, 604800000000, NULL, "",
		"How long SAs and policies of a key daemon that is gone stay."),
	ROW(GATEWAY, MAP, BLOCK_ACQUIRE, 0, conf_gateway, acquire, 0, "acquire", NULL, 0, 0, NULL, "",
	    "What happens while a protect policy that a key daemon installed has no SA."),
	ROW(GATEWAY, MAP, BLOCK_REASSEMBLY, 0, conf_gateway, reassembly, 0, "reassembly", NULL, 0, 0, NULL, "",
	    "Limits of the reassembly of fragments that are addressed to this gateway, and of the wait of fragments that a policy judges by ports for the first one of their datagram."),

	ROW(MAX_ROUTES, NUMBER, 0, 0, conf_gateway, max_routes.v4, GROUP_COST, "v4", "64Ki", 1, 16 * MI, NULL, "routes", "IPv4."),
	ROW(MAX_ROUTES, NUMBER, 0, 0, conf_gateway, max_routes.v6, 4 * GROUP_COST, "v6", "16Ki", 1, 16 * MI, NULL, "routes", "IPv6."),

	SUB(ACQUIRE, NUMBER, conf_gateway, acquire.action, "action", "hold", NO_NUMBERS, acquires, "",
	    "hold: a few packets of each such policy wait for the SA, for a second. drop: none does."),
	SUB(ACQUIRE, NUMBER, conf_gateway, acquire.hold, "hold", "64", 0, HOLD_MAX, NULL, "packets", "How many packets each worker holds in all; of one policy at most 4."),
	SUB(ACQUIRE, NUMBER, conf_gateway, acquire.rate, "rate", "100", 1, 1000000, NULL, "events per second", "How often the key daemon is asked for an SA; for one policy at most once a second."),

	SUB(REASSEMBLY, TIME, conf_gateway, reassembly.timeout_us, "timeout", "2s", 1000, 60000000, NULL, "",
	    "How long a datagram waits for its pieces."),
	ROW(REASSEMBLY, NUMBER, 0, KEY_RESTART, conf_gateway, reassembly.max_datagrams, FRAG_DATAGRAM_OCTETS, "max_datagrams", "4096", 1, MI, NULL, "",
	    "Datagrams waiting, for each worker. A quarter of them, at least one, is for all sources that are no peer of an inbound SA, the rest for peers, at most a quarter of it for each. Likewise with packet buffers, of which a quarter at most may wait. At a limit the oldest ends as frag_limit."),
	SUB(REASSEMBLY, NUMBER, conf_gateway, reassembly.max_pieces, "max_pieces", "64", 2, 8192, NULL, "", "Pieces of one datagram."),
	SUB(REASSEMBLY, NUMBER, conf_gateway, reassembly.emtu_r, "emtu_r", "65535", 576, CONF_EMTU_ANY, NULL, "octets", "The largest outer packet of an SA that is taken, whole or put together, its IP header included; 65535 takes all. What is larger drops as outer_toobig once it has proved authentic, and who listens at the control socket is told."),

	PORT(NAME, KEY_REQUIRED, name, "name", NULL, 0, 0, NULL, "", "Name of the port."),
	PORT(TEXT, KEY_REQUIRED | KEY_RESTART, device, "device", NULL, 0, 0, NULL, "PCI address or DPDK device arguments",
	     "The device, such as \"0000:3b:00.0\" or \"net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap\"."),
	PORT(NUMBER, KEY_REQUIRED | KEY_RESTART, side, "side", NULL, NO_NUMBERS, sides, "",
	     "black: the untrusted network, ESP. red: the protected networks, plain IP."),
	PORT(IFADDRS, 0, addresses, "addresses", NULL, 0, 0, NULL, "", "Our addresses on this link, each with its prefix length."),
	PORT(NUMBER, KEY_RESTART, mtu, "mtu", "1500", 576, 65535, NULL, "octets", "Largest IP packet on the link. Packet buffers are as large as the largest port asks for. A net_af_packet device needs framesz=N,blocksz=16N for more than 1968, with N the mtu and 80, rounded up to a multiple of 256."),
	PORT(MASK, KEY_RESTART, workers, "workers", "all", 0, WORKERS_MAX - 1, all, "worker indices", "The workers that own its queues."),
	PORT(NUMBER, KEY_RESTART, rx_queues, "rx_queues", "auto", 1, WORKERS_MAX, autos, "queues", "Receive queues. auto: one for each of its workers, as far as the device has them."),
	PORT(NUMBER, KEY_RESTART, rx_desc, "rx_desc", "1024", 32, 32768, NULL, "descriptors", "Size of a receive queue."),
	PORT(NUMBER, KEY_RESTART, tx_desc, "tx_desc", "1024", 32, 32768, NULL, "descriptors", "Size of a transmit queue."),
	PORT(NUMBER, KEY_RESTART, offloads, "offloads", "auto", NO_NUMBERS, auto_off, "", "auto: checksum and RSS offloads of the device are used."),
	PORT(BOOL, KEY_RESTART, promiscuous, "promiscuous", "false", 0, 0, NULL, "", "Take frames for any MAC address. Otherwise those for other stations are dropped as not_ours."),
	PORT(BOOL, 0, esp_echo, "esp_echo", "false", 0, 0, NULL, "", "Black: answer plain ESP echo, SPI 7, which asks whether the path passes ESP at all. It needs no SA, so everybody may ask."),
	PORT(TEXT, KEY_RESTART, ipsec, "inline", "auto", 0, 0, NULL, "auto, off, or emulated[,option=value...]",
	     "Black: whether the port's device does IPsec itself, for SAs that the engine inline may serve. auto: where DPDK says that it can. off: never. emulated: a device in software that behaves like one, for laboratories and tests; its options are in espgw(8)."),
	ROW(PORT, OPTION, BLOCK_MIRROR, KEY_RESTART, conf_port, mirror.on, 0, "mirror", NULL, 0, 0, NULL, "",
	    "Where packets for ourselves go: a kernel interface to make, or a DPDK device."),

	SUB(MIRROR, NAME, conf_port, mirror.tap, "tap", NULL, 0, 0, NULL, "", "Name of the kernel interface to make, at most 15 characters. It has the port's MAC address, MTU and link state, and goes with the gateway."),
	SUB(MIRROR, TEXT, conf_port, mirror.device, "device", NULL, 0, 0, NULL, "DPDK device arguments", "A device that takes what is for ourselves and gives what our own host sends, such as \"net_pcap9,tx_pcap=local.pcap\"."),

	ROW(ROUTE, PREFIX, 0, KEY_REQUIRED, conf_route, to, 0, "to", NULL, 0, 0, NULL, "", "Where to."),
	ROW(ROUTE, ADDR, 0, 0, conf_route, via, 0, "via", NULL, 0, 0, NULL, "", "The next hop. Left out: on the link."),
	ROW(ROUTE, NAME, 0, KEY_REQUIRED, conf_route, port_name, 0, "port", NULL, 0, 0, NULL, "", "The port it leaves by."),

	ROW(NEIGHBOUR, ADDR, 0, KEY_REQUIRED, conf_neighbour, ip, 0, "ip", NULL, 0, 0, NULL, "", "Its address."),
	ROW(NEIGHBOUR, MAC, 0, KEY_REQUIRED, conf_neighbour, mac, 0, "mac", NULL, 0, 0, NULL, "", "Its MAC address."),
	ROW(NEIGHBOUR, NAME, 0, KEY_REQUIRED, conf_neighbour, port_name, 0, "port", NULL, 0, 0, NULL, "", "The port it is at."),

	TUNNEL(NAME, KEY_REQUIRED, name, "name", NULL, 0, 0, NULL, "", "Its SAs are NAME.out and NAME.in."),
	TUNNEL(ADDR, KEY_REQUIRED, local, "local", NULL, 0, 0, NULL, "", "Our outer address."),
	TUNNEL(ADDR, KEY_REQUIRED, remote, "remote", NULL, 0, 0, NULL, "", "The peer's outer address."),
	TUNNEL(NETS, 0, local_nets, "local_nets", NULL, 0, 0, NULL, "",
	       "What is protected on our side. Families may mix: policies are of all pairs of one family. May be left out in transport mode: then it is local; and with mode: beet: then it is inner.src."),
	TUNNEL(NETS, 0, remote_nets, "remote_nets", NULL, 0, 0, NULL, "", "The same on the peer's side."),
	HALF("out", "Keys of the outbound SA alone, such as its spi and key."),
	HALF("in", "Keys of the inbound SA alone."),

	SA(NAME, KEY_REQUIRED | KEY_HALF, name, "name", NULL, 0, 0, NULL, "", "Name of the SA."),
	SA(NUMBER, KEY_REQUIRED | KEY_NO_TUNNEL | KEY_RENEW, direction, "direction", NULL, NO_NUMBERS, directions, "", "out: we send by it. in: we receive."),
	SA(NUMBER, KEY_REQUIRED | KEY_RENEW | KEY_HEX, spi, "spi", NULL, 256, UINT32_MAX, NULL, "", "Security Parameters Index."),
	SA(NUMBER, KEY_RENEW, proto, "proto", "esp", NO_NUMBERS, protos, "", "ESP or AH (RFC 4302), which has an auth and no aead or cipher, is of mode tunnel or transport, and passes no NAT."),
	SA(NUMBER, KEY_RENEW, mode, "mode", "tunnel", NO_NUMBERS, modes, "", "How packets are carried. tunnel: whole, with an outer header. transport: with their own header, between hosts. beet: between two hosts, as a tunnel whose inner header is not sent, since the SA has its addresses; no hop-by-hop options and routing headers, and fragments by beet_reassemble alone. iptfs: whole or in pieces, several to an outer packet, with padding if there is a rate (IP-TFS, RFC 9347): what is inside is not seen by the sizes and times of packets."),
	SA(ADDR, KEY_REQUIRED | KEY_HALF | KEY_RENEW, src, "src", NULL, 0, 0, NULL, "", "Outer source."),
	SA(ADDR, KEY_REQUIRED | KEY_HALF | KEY_RENEW, dst, "dst", NULL, 0, 0, NULL, "", "Outer destination."),
	SA_BLOCK(OPTION, KEY_RENEW, INNER, inner.on, "inner", NULL, 0, 0, NULL, "", "mode: beet: the addresses inside, a host each; IPv4 or IPv6, whatever the outer ones are. Of a tunnel: those of out."),
	SA(ALG, KEY_RENEW, aead, "aead", NULL, ALG_AEAD, 0, NULL, "", "Algorithm that encrypts and authenticates."),
	SA(ALG, KEY_RENEW, cipher, "cipher", NULL, ALG_CIPHER, 0, NULL, "", "Or one that encrypts,"),
	SA(ALG, KEY_RENEW, auth, "auth", NULL, ALG_AUTH, 0, NULL, "", "with one that authenticates. With proto: ah this is all, and may be aes-gmac-128, -192 or -256 as well."),
	SA(SECRET, KEY_RENEW, key, "key", NULL, 0, 0, NULL, "", "Key of the aead or the cipher, followed by its salt or nonce: \"hex:...\", \"file:PATH\", \"env:NAME\"."),
	SA(SECRET, KEY_RENEW, auth_key, "auth_key", NULL, 0, 0, NULL, "", "Key of the auth; of AES-GMAC with its salt."),
	SA(NUMBER, KEY_RENEW, icv_len, "icv", NULL, 8, 16, NULL, "octets", "Length of the tag of GCM and CCM: 8, 12, or 16."),
	SA(BOOL, KEY_RENEW, implicit_iv, "implicit_iv", "false", 0, 0, NULL, "", "RFC 8750: no IV on the wire."),
	SA(BOOL, KEY_RENEW, esn, "esn", "true", 0, 0, NULL, "", "64-bit sequence numbers."),
	SA(NUMBER, KEY_IN, replay_window, "replay_window", "1024", 0, 65536, NULL, "packets", "Size of the anti-replay window, exact: 32 to 65536. 0: no anti-replay."),
	SA(NUMBER, KEY_OUT, oseq, "oseq", "0", 0, UINT64_MAX, NULL, "", "The last sequence number already used."),
	SA(NUMBER, KEY_IN, replay_top, "replay_top", "0", 0, UINT64_MAX, NULL, "", "The highest sequence number already accepted: all below count as seen."),
	SA(BOOL, KEY_RENEW, subspaces, "subspaces", "false", 0, 0, NULL, "",
	   "A wire format of ESP in which each sequence number begins with a subspace id, so that several workers send by the SA at once and each id has an anti-replay window of its own. It is no standard, and patents may cover it: both ends must be told. AEAD only; a packet is 4 octets longer, or with implicit_iv 4 shorter than without either."),
	SA(NUMBER, KEY_RENEW, lanes, "lanes", "1", 1, UINT16_MAX, autos, "lanes",
	   "With subspaces, how many ids there are, from 0 on. out: at most 1024, each numbered by one worker; auto: one for each worker. in: the largest number accepted, at least what the peer sends by; auto: 64."),
	SA(NUMBER, KEY_OUT, lane_by, "lane_by", "flow", NO_NUMBERS, lane_bys, "",
	   "Which of its lanes a worker that has several sends a packet by: one for each flow, or one for each class selector, the upper three bits of the DSCP. A flow stays in order either way."),
	SA_BLOCK(OPTION, 0, BUNDLE, bundle.on, "bundle", NULL, 0, 0, NULL, "", "RFC 9611: an SA of several that are alike, each for the packets of one worker. The SA belongs to that worker, in both directions."),
	SA(MASK, 0, dscp_set, "dscp_set", NULL, 0, 63, NULL, "DSCP values", "out: the classes that this SA carries, of several that a policy names: the shortest list that has the packet's class wins, of two as long the first named, of equal lists the last; what none lists goes by the SA without a list. in: not asked."),
	SA_BLOCK(OPTION, KEY_RENEW, ENCAP, encap.on, "encap", NULL, 0, 0, NULL, "", "NAT traversal: ESP inside UDP."),
	SA(DSCP_MAP, KEY_OUT, outer_dscp, "outer_dscp", "copy", 0, 63, NULL, "", "Outer DSCP: copy, a value, or a map from inner to outer where the others are copied. With mode: iptfs a value, by default 0."),
	SA(BOOL, 0, ecn, "ecn", "true", 0, 0, NULL, "", "RFC 6040 between inner and outer ECN."),
	SA(NUMBER, KEY_OUT, df, "df", "copy", NO_NUMBERS, dfs, "", "Outer DF of IPv4. copy: as the inner packet says, and set for IPv6. A packet that is cut has none. With mode: iptfs set or clear, by default set."),
	SA(NUMBER, KEY_OUT, ttl, "ttl", "64", 1, 255, NULL, "", "Outer TTL or hop limit; with mode: beet it is the packet's own."),
	SA(NUMBER, KEY_OUT, flow_label, "flow_label", "hash", 0, 0xfffff, labels, "", "Outer flow label of IPv6."),
	SA(NUMBER, KEY_OUT, frag, "frag", "pre", NO_NUMBERS, frags, "", "What is done with an IPv4 packet whose DF is clear and that is larger than its SA takes. pre: it is cut before ESP, each piece an ESP packet of its own; transport mode and BEET carry whole packets, and cut as post does. post: it is enciphered whole, and the outer packet is cut. none: its sender is told."),
	SA(BOOL, KEY_OUT, beet_reassemble, "beet_reassemble", "false", 0, 0, NULL, "", "mode: beet: packets that come in fragments are put together, within gateway.reassembly, and sent whole. false: fragments drop as beet_frag."),
	SA(NUMBER, KEY_OUT, path_mtu, "path_mtu", "1500", 576, 65535, NULL, "octets", "Largest outer packet on the way to the peer."),
	SA_BLOCK(MAP, KEY_OUT, PMTU, pmtu, "pmtu", NULL, 0, 0, NULL, "", "How the path MTU is learned."),
	SA(BOOL, 0, mss_clamp, "mss_clamp", "false", 0, 0, NULL, "", "Lower the MSS that the SYN of a TCP connection says to what the tunnel takes. out: of what enters it. in: of what comes out of it, by the least that the outbound SAs between the same two addresses take."),
	SA(BOOL, KEY_IN, esp_ping, "esp_ping", "false", 0, 0, NULL, "", "Answer the ESP echoes of the peer, see espgw(8). Who asks needs no such key."),
	SA_BLOCK(MAP, KEY_OUT, TFC, tfc, "tfc", NULL, 0, 0, NULL, "", "Traffic flow confidentiality."),
	SA_BLOCK(OPTION, KEY_RENEW, IPCOMP, ipcomp.on, "ipcomp", NULL, 0, 0, NULL, "", "IPComp (RFC 3173): compression before ESP. What does not shrink is sent as it is."),
	SA_BLOCK(OPTION, 0, IPTFS, iptfs.on, "iptfs", NULL, 0, 0, NULL, "", "How, with mode: iptfs. Left out there: the defaults."),
	SA_BLOCK(MAP, 0, LIFETIME, lifetime, "lifetime", NULL, 0, 0, NULL, "", "Limits of the SA. 0: none but the algorithm's."),

	SUB(INNER, ADDR, conf_sa, inner.src, "src", NULL, 0, 0, NULL, "", "Inner source."),
	SUB(INNER, ADDR, conf_sa, inner.dst, "dst", NULL, 0, 0, NULL, "", "Inner destination."),

	SUB(BUNDLE, NAME, conf_sa, bundle.name, "name", NULL, 0, 0, NULL, "", "Name of the bundle, for policies. Of a tunnel: the tunnel's."),
	SUB(BUNDLE, NUMBER, conf_sa, bundle.worker, "worker", "fallback", 0, WORKERS_MAX - 1, fallbacks, "", "The worker it is for, from 0 on; fallback: for all that have none. Of several out for one worker the last in the file counts."),

	ROW(ENCAP, PORT_PAIR, 0, KEY_REQUIRED, conf_sa, encap.ports, 0, "udp", NULL, 0, 65535, NULL, "ports",
	    "Ports in the packet's order: source, destination; in: the peer's, 0 for any, and ours. Of a tunnel: ours, the peer's. What proves authentic may come from another address or port than the peer's: a key daemon is told."),
	SUB(ENCAP, TIME, conf_sa, encap.keepalive_us, "keepalive", "20s", 0, 3600000000, NULL, "", "NAT keepalive when nothing is sent for that long. 0: none."),
	SUB(ENCAP, BOOL, conf_sa, encap.follow, "follow", "false", 0, 0, NULL, "", "Follow the peer to a new address."),

	SUB(PMTU, BOOL, conf_sa, pmtu.icmp, "icmp", "true", 0, 0, NULL, "", "Believe ICMP too-big that quotes this SA and a number it sent lately, down to the floor."),
	SUB(PMTU, BOOL, conf_sa, pmtu.probe, "probe", "false", 0, 0, NULL, "", "Probe with ESP echoes of its own (RFC 8899): the peer must answer them, as with its esp_ping. Finds black holes that no router tells of."),
	SUB(PMTU, NUMBER, conf_sa, pmtu.floor, "floor", "1280", 576, 65535, NULL, "octets", "Nothing that is learnt makes it smaller; with IPv6 1280 at least."),
	SUB(PMTU, TIME, conf_sa, pmtu.age_us, "age", "10m", 1000000, TIME_MAX, NULL, "", "For so long what was learnt is good; then it is forgotten, or where it is probed larger ones are tried again."),

	SUB(TFC, NUMBER, conf_sa, tfc.pad_to, "pad_to", "0", 0, 65535, NULL, "octets", "Pad inner packets to this size, as far as the path MTU lets. 0: none."),
	SUB(TFC, NUMBER, conf_sa, tfc.dummy_rate, "dummy_rate", "0", 0, 10000000, NULL, "packets per second", "Dummy packets. 0: none."),

	SUB(IPCOMP, NUMBER, conf_sa, ipcomp.cpi, "cpi", "2", 1, 0xffff, NULL, "", "Compression Parameter Index. Out: the one that the peer takes; in: ours, by which it sends to us. So a tunnel whose ends chose different ones says it in its out and in."),
	SUB(IPCOMP, NUMBER, conf_sa, ipcomp.algorithm, "algorithm", "deflate", NO_NUMBERS, ipcomps, "", "deflate: RFC 2394."),
	SUB(IPCOMP, NUMBER, conf_sa, ipcomp.threshold, "threshold", "128", 0, 65535, NULL, "octets", "Out: smaller payloads are sent as they are."),
	SUB(IPCOMP, NUMBER, conf_sa, ipcomp.max_output, "max_output", "65535", 576, 65535, NULL, "octets", "In: a packet that grows beyond is dropped."),
	SUB(IPCOMP, BOOL, conf_sa, ipcomp.xt, "xt", "false", 0, 0, NULL, "", "Transport mode: the ports of TCP, UDP, SCTP, DCCP and UDP-Lite stay readable before what is compressed (draft-ls-6man-ipcomp-exclude-transport-layer; a flag of the header says so, which nobody has assigned). Both ends have to be told."),
	SUB(IPCOMP, BOOL, conf_sa, ipcomp.stored, "stored", "false", 0, 0, NULL, "", "Of the same draft: what does not shrink has an IPComp header too, with CPI 0xf001, so that all packets of a flow go one way. Both ends have to be told."),

	IPTFS(NUMBER, KEY_OUT, rate_bps, "rate", "0", 0, UINT64_C(1000000000000), NULL, "bit/s", "Constant rate, of the outer packets: they are of one size and sent at even times, of padding alone when nothing waits. With congestion_control the most it may be; with lanes that of all together. It needs idle: poll. 0: send when there is something."),
	IPTFS(NUMBER, KEY_OUT, layer, "layer", "l3", NO_NUMBERS, layers, "", "What the rate counts. l3: IP packets. l2: what they take of an Ethernet, 38 octets more each."),
	IPTFS(NUMBER, KEY_OUT, packet_size, "packet_size", "1400", 64, 65535, autos, "octets", "Size of an outer packet, as far as the path takes it; without a rate the most it may be. auto: what the path takes."),
	IPTFS(TIME, KEY_OUT, init_delay_us, "init_delay", "2ms", 0, 10000000, NULL, "", "Without a rate: how long the first packet waits for others, unless they fill a payload."),
	IPTFS(NUMBER, KEY_OUT, max_queue, "max_queue", "1M", 1500, 64 * GI, NULL, "octets", "Inner packets waiting, of each lane. What finds more is dropped; above 95 % of it, what is ECN-capable is marked CE."),
	IPTFS(TIME, KEY_OUT, max_aggregation_us, "max_aggregation", "0", 0, 60000000, NULL, "", "The longest that an inner packet may wait (RFC 9348, max-aggregation-time); then it is dropped. 0: any time."),
	IPTFS(BOOL, 0, dont_frag, "dont_frag", "false", 0, 0, NULL, "", "out: send no pieces of inner packets; what does not fit is treated as by a tunnel. in: refuse them."),
	IPTFS(NUMBER, KEY_IN, reorder_window, "reorder_window", "3", 0, 65535, NULL, "packets", "How many wait for a missing one. 0: none."),
	IPTFS(TIME, KEY_IN, drop_time_us, "drop_time", "1s", 0, 60000000, NULL, "", "How long a missing one is waited for."),
	IPTFS(BOOL, KEY_IN, send_immediately, "send_immediately", "false", 0, 0, NULL, "", "Whole inner packets are given on as they come, out of order too."),
	IPTFS(BOOL, 0, congestion_control, "congestion_control", "false", 0, 0, NULL, "", "The rate is lowered on loss as TCP's would be (RFC 5348), so that it may cross networks of others. Both ends must have it, in both directions."),
	ROW(IPTFS, OPTION, BLOCK_BREAKER, KEY_OUT, conf_sa, iptfs.breaker.on, 0, "breaker", NULL, 0, 0, NULL, "", "Circuit breaker (RFC 8084) of a constant rate without congestion_control: the SA that comes back tells of loss."),

	SUB(BREAKER, NUMBER, conf_sa, iptfs.breaker.loss_percent, "loss", "5", 1, 100, NULL, "%", "Loss that stops the sender"),
	SUB(BREAKER, TIME, conf_sa, iptfs.breaker.time_us, "time", "10s", 1000, 3600000000, NULL, "", "when it lasts this long."),

	SUB(LIFETIME, NUMBER, conf_sa, lifetime.soft_packets, "soft_packets", "0", 0, UINT64_MAX, NULL, "packets", "An event."),
	SUB(LIFETIME, NUMBER, conf_sa, lifetime.hard_packets, "hard_packets", "0", 0, UINT64_MAX, NULL, "packets", "The end of the SA."),
	SUB(LIFETIME, NUMBER, conf_sa, lifetime.soft_bytes, "soft_bytes", "0", 0, UINT64_MAX, NULL, "octets", "An event."),
	SUB(LIFETIME, NUMBER, conf_sa, lifetime.hard_bytes, "hard_bytes", "0", 0, UINT64_MAX, NULL, "octets", "The end of the SA."),
	SUB(LIFETIME, NUMBER, conf_sa, lifetime.soft_seconds, "soft_seconds", "0", 0, UINT32_MAX, NULL, "seconds", "An event."),
	SUB(LIFETIME, NUMBER, conf_sa, lifetime.hard_seconds, "hard_seconds", "0", 0, UINT32_MAX, NULL, "seconds", "The end of the SA."),

	POLICY(NAME, KEY_REQUIRED, name, "name", NULL, 0, 0, NULL, "", "Name of the policy."),
	POLICY(NUMBER, KEY_REQUIRED, direction, "direction", NULL, NO_NUMBERS, directions, "", "out: from red to black. in: from black to red."),
	POLICY(NETS, KEY_REQUIRED, src, "src", NULL, 0, 0, NULL, "", "Source."),
	POLICY(NETS, KEY_REQUIRED, dst, "dst", NULL, 0, 0, NULL, "", "Destination."),
	POLICY(NUMBER, 0, protocol, "protocol", "any", 0, 255, protocols, "", "Upper-layer protocol. icmp is 1 with IPv4 and 58 with IPv6."),
	POLICY(PORT_RANGE, 0, src_port, "src_port", "any", 0, 65535, any, "", "Source port."),
	POLICY(PORT_RANGE, 0, dst_port, "dst_port", "any", 0, 65535, any, "", "Destination port."),
	POLICY(MASK, 0, dscp, "dscp", "any", 0, 63, any, "DSCP values", "Classes of traffic."),
	POLICY(BOOL, 0, icmp, "icmp", "true", 0, 0, NULL, "", "RFC 4301 section 6: ICMP errors about matching packets match."),
	POLICY(NUMBER, KEY_REQUIRED, action, "action", NULL, NO_NUMBERS, actions, "", "What is done with a packet that matches."),
	POLICY(NAMES, 0, sa_names, "sa", NULL, 0, 0, NULL, "",
	       "protect: the SA it goes by (out), or must have come by (in); or a bundle, which means its members, or a list of both. Of several each packet goes by that of its class and its worker."),
};
/* clang-format on */
const uint32_t conf_n_keys = sizeof(conf_keys) / sizeof(conf_keys[0]);

const char *const conf_engine_names[CONF_ENGINES_MAX] = { "inline", "cryptodev", "ipsec_mb",
							  "openssl" };
