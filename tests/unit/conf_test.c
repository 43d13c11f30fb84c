#include "conf_text.h"

#include <errno.h>

/* clang-format off */
#define AH(more) TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 192.0.2.1, dst: 198.51.100.1, proto: ah" more "}\n"
#define AH_AUTH	 ", auth: hmac-sha1-96, auth_key: \"hex:00112233445566778899aabbccddeeff00112233\""

static const struct {
	const char *what;
	const char *text;
	const char *place; /* line:col: path */
	const char *wrong; /* what the sentence must say */
} bad[] = {
	/* YAML itself */
	{ "an empty file", "", " ", "the file is empty" },
	{ "comments alone", "# nothing\n", " ", "the file is empty" },
	{ "a list at the top", "- a\n", "1:1: ", "not a map" },
	{ "a word at the top", "gateway\n", "1:1: ", "not a map" },
	{ "a bracket left open", TOP "sas: [\n", "5:1: ", "did not find expected node content" },
	{ "indented with a tab", "version: 1\ngateway:\n\tname: a\n", "3:1: ", "spaces" },
	{ "not UTF-8", "version: 1\ngateway: {name: \xff}\n", "2:17: ", "UTF-8 text" },
	{ "UTF-16", "\xff\xfev\0e\0r\0", "1:1: ", "UTF-8 text" },
	{ "a control character", "version: 1\x01\n", "1:11: ", "control characters are not allowed" },
	{ "an anchor", TOP "sas: &x []\n", "4:6: ", "anchors are not taken" },
	{ "an alias", TOP "routes: &x []\nsas: *x\n", "5:6: ", "aliases are not taken" },
	{ "a billion laughs", "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "3:5: ", "aliases are not taken" },
	{ "a tag", "version: !!int 1\n", "1:10: ", "tags are not taken" },
	{ "two documents", "version: 1\n---\nversion: 1\n", "2:1: ", "a second document" },
	{ "a map as a key", TOP "{a: b}: c\n", "4:1: ", "as a key" },
	{ "too deep", TOP "sas: [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]\n", "4:21: ", "nested too deep" },
	{ "a NUL in a text", TOP "gateway: {name: \"a\\0b\"}\n", "4:17: ", "a NUL character" },
	/* keys and types */
	{ "an unknown key", TOP "gateway: {nname: x}\n", "4:11: gateway.nname: ", "did you mean name?" },
	{ "an unknown key at the top", TOP "tunnel: []\n", "4:1: tunnel: ", "did you mean tunnels?" },
	{ "an unknown key like no other", TOP "colour: red\n", "4:1: colour: ", "unknown key" },
	{ "a key twice", TOP "gateway: {name: a, name: b}\n", "4:20: gateway.name: ", "given twice" },
	{ "a part twice", TOP "routes: []\nroutes: []\n", "5:1: routes: ", "given twice" },
	{ "a later version", "version: 2\n", "1:10: version: ", "2 is out of range: 1" },
	{ "a list where a map belongs", TOP "gateway: []\n", "4:10: gateway: ", "a list: a map of keys" },
	{ "a switch where a map belongs", SA("ipcomp: true"), "6:14: sas[0].ipcomp: ", "a single value: a map of keys, such as {cpi: ...}" },
	{ "a map where a list belongs", TOP "sas: {name: a}\n", "4:6: sas: ", "a map: a list" },
	{ "a word where an item belongs", TOP "sas: [a]\n", "4:7: sas[0]: ", "a single value: a map" },
	{ "a list where a number belongs", TOP "gateway: {burst: [1]}\n", "4:18: gateway.burst: ", "a list: 1 to 64" },
	{ "a map where a number belongs", TOP "gateway: {burst: {a: 1}}\n", "4:18: gateway.burst: ", "a map: 1 to 64" },
	{ "no ports", "version: 1\n", "1:1: ports: ", "missing: at least one port" },
	{ "a port without device and side", "ports:\n  - name: wan\n", "2:5: ports[0].device: ", "missing" },
	{ "and the side too", "ports:\n  - name: wan\n", "2:5: ports[0].side: ", "missing: black or red" },
	/* numbers, times, words */
	{ "a number out of range", TOP "gateway: {burst: 65}\n", "4:18: gateway.burst: ", "65 is out of range: 1 to 64 packets" },
	{ "a number beyond 64 bits", TOP "gateway: {max_sas: 99999999999G}\n", "4:20: ", "is out of range" },
	{ "a negative number", TOP "gateway: {burst: -1}\n", "4:18: ", "-1 is out of range" },
	{ "an octal number", TOP "gateway: {burst: 010}\n", "4:18: ", "'010' is no number" },
	{ "an unknown suffix", TOP "gateway: {max_sas: 1P}\n", "4:20: ", "'1P' is no number" },
	{ "a word for a number", TOP "gateway: {burst: many}\n", "4:18: ", "'many' is no number" },
	{ "a time without unit", SA("pmtu: {age: 10}"), "6:18: sas[0].pmtu.age: ", "'10' is no time" },
	{ "a time out of range", SA("pmtu: {age: 1ms}"), "6:18: sas[0].pmtu.age: ", "1ms is out of range: 1s to" },
	{ "a misspelt word", TOP "gateway: {idle: pol}\n", "4:17: gateway.idle: ", "did you mean poll?" },
	{ "an unknown word", SA("df: maybe"), "6:10: sas[0].df: ", "'maybe' is not known: copy, set or clear" },
	{ "neither true nor false", SA("esn: yes"), "6:11: sas[0].esn: ", "'yes' is neither: true or false" },
	{ "a worker beyond the last", "ports:\n  - {name: a, device: x, side: red, workers: [64]}\n",
	  "2:47: ports[0].workers: ", "64 is out of range" },
	{ "an empty list of workers", "ports:\n  - {name: a, device: x, side: red, workers: []}\n",
	  "2:46: ports[0].workers: ", "an empty list" },
	{ "an unknown engine", TOP "gateway: {crypto: [ipsecmb]}\n", "4:20: gateway.crypto: ", "'ipsecmb' is not known" },
	{ "an engine twice", TOP "gateway: {crypto: [openssl, openssl]}\n", "4:29: ", "openssl is named twice" },
	{ "engines that need a device alone", TOP "gateway: {crypto: [inline]}\n", "4:19: ", "ipsec_mb or openssl" },
	{ "a crypto device that is no list", TOP "gateway: {crypto_devices: crypto_null0}\n", "4:27: gateway.crypto_devices: ", "a list of devices" },
	{ "no crypto device in a list", TOP "gateway: {crypto_devices: []}\n", "4:27: gateway.crypto_devices: ", "no list of devices" },
	{ "a crypto device twice", TOP "gateway: {crypto_devices: [crypto_null0, \"crypto_null0,max_nb_queue_pairs=2\"]}\n", "4:42: gateway.crypto_devices: ",
	  "crypto_null0 is named twice: once" },
	{ "a crypto device that is a list", TOP "gateway: {crypto_devices: [[a]]}\n", "4:28: gateway.crypto_devices: ", "no device" },
	{ "a crypto device without a name", TOP "gateway: {crypto_devices: [a, \"\"]}\n", "4:31: gateway.crypto_devices: ", "empty" },
	{ "an unknown inline", "ports:\n  - {name: a, device: x, side: black, inline: on}\n", "2:47: ports[0].inline: ",
	  "'on' is not known: auto, off, or emulated" },
	{ "an inline that begins as one", "ports:\n  - {name: a, device: x, side: black, inline: emulated2}\n", "2:47: ports[0].inline: ", "'emulated2' is not known" },
	{ "an emulated NIC at a red port", "ports:\n  - {name: a, device: x, side: red, inline: emulated}\n", "2:45: ports[0].inline: ",
	  "ESP comes by black ports: off" },
	{ "a name with a colon", TOP "gateway: {name: \"a:b\"}\n", "4:17: gateway.name: ", "'a:b' is no name" },
	{ "an empty name", TOP "gateway: {name: \"\"}\n", "4:17: gateway.name: ", "empty" },
	{ "a name too long", TOP "gateway: {name: a23456789a23456789a23456789a23456789a23456789a23456789a23456789x}\n",
	  "4:17: ", "longer than 63 octets" },
	/* addresses */
	{ "host bits set", TOP "routes:\n  - {to: 10.2.0.1/16, port: wan}\n", "5:10: routes[0].to: ",
	  "10.2.0.1/16 has host bits set: 10.2.0.0/16" },
	{ "host bits set in IPv6", TOP "routes:\n  - {to: \"2001:db8::1/32\", port: wan}\n", "5:10: ", "2001:db8::/32" },
	{ "a prefix too long", TOP "routes:\n  - {to: 10.0.0.0/33, port: wan}\n", "5:10: ", "is no prefix" },
	{ "no address", TOP "routes:\n  - {to: 10.0.0.0/8, via: 10.0.0.256, port: wan}\n", "5:27: routes[0].via: ",
	  "'10.0.0.256' is no address" },
	{ "a group as next hop", TOP "routes:\n  - {to: 10.0.0.0/8, via: 224.0.0.1, port: wan}\n", "5:27: ", "is no host" },
	{ "a next hop of another family", TOP "routes:\n  - {to: 10.0.0.0/8, via: \"fe80::1\", port: wan}\n",
	  "5:27: routes[0].via: ", "another family" },
	{ "a route twice", TOP "routes:\n  - {to: 10.0.0.0/8, port: wan}\n  - {to: 10.0.0.0/8, port: wan}\n",
	  "6:10: routes[1].to: ", "10.0.0.0/8 has a route already" },
	{ "a neighbour twice", TOP "neighbours:\n  - {ip: 10.0.0.1, mac: \"02:00:00:00:00:01\", port: wan}\n"
				   "  - {ip: 10.0.0.1, mac: \"02:00:00:00:00:02\", port: wan}\n",
	  "6:10: neighbours[1].ip: ", "given twice" },
	{ "a MAC cut short", TOP "neighbours:\n  - {ip: 10.0.0.1, mac: \"02:00:00:00:00\", port: wan}\n",
	  "5:25: neighbours[0].mac: ", "is no MAC address" },
	{ "a MAC of a group", TOP "neighbours:\n  - {ip: 10.0.0.1, mac: \"01:00:00:00:00:01\", port: wan}\n", "5:25: ",
	  "one station" },
	{ "an address without its length", "ports:\n  - {name: a, device: x, side: red, addresses: [10.0.0.1]}\n",
	  "2:49: ports[0].addresses[0]: ", "with its prefix length" },
	{ "an address twice", "ports:\n  - {name: a, device: x, side: red, addresses: [10.0.0.1/8, 10.0.0.1/9]}\n",
	  "2:48: ports[0].addresses: ", "given twice" },
	/* names and references */
	{ "a port twice", TOP "  - {name: wan, device: net_null1, side: red}\n", "4:12: ports[1].name: ", "the name of another" },
	{ "a device twice", TOP "  - {name: lan, device: \"net_null0,size=64\", side: red}\n", "4:25: ports[1].device: ",
	  "net_null0 is the device of wan" },
	{ "an SA twice", GOOD SA_AS("a", "in", "0x1002", KEY_B, ""), "6:12: sas[1].name: ", "a is the name of another" },
	{ "a tunnel's SA has the name of an SA",
	  TUNNEL("", "spi: 0x1001, key: \"" KEY_A "\"") "sas:\n" SA_AS("t.in", "in", "0x1002", KEY_C, ""), "5:11: tunnels[0].name: ",
	  "t.in is the name of another" },
	{ "a route by no port", TOP "routes:\n  - {to: 10.0.0.0/8, port: wam}\n", "5:28: routes[0].port: ", "there is no port wam" },
	{ "a policy to no SA", POLICY("src: any, dst: any, action: protect, sa: b"), "7:72: policies[0].sa: ", "there is no SA b" },
	{ "a policy of the other direction",
	  GOOD "policies:\n  - {name: p, direction: in, src: any, dst: any, action: protect, sa: a}\n",
	  "7:71: policies[0].sa: ", "a is for direction: out" },
	{ "protect without SA", POLICY("src: any, dst: any, action: protect"), "7:5: policies[0].sa: ", "missing" },
	{ "bypass with an SA", POLICY("src: any, dst: any, action: bypass, sa: a"), "7:71: policies[0].sa: ", "another action" },
	{ "ports of no protocol", POLICY("src: any, dst: any, action: bypass, dst_port: 80"), "7:77: policies[0].dst_port: ",
	  "no ports: protocol: tcp or udp" },
	{ "a port range backwards", POLICY("src: any, dst: any, action: bypass, protocol: tcp, dst_port: 90-80"),
	  "7:92: policies[0].dst_port: ", "runs backwards" },
	{ "a port too large", POLICY("src: any, dst: any, action: bypass, protocol: tcp, dst_port: 65536"), "7:92: ", "out of range" },
	{ "families that never meet", POLICY("src: 10.0.0.0/8, dst: \"2001:db8::/32\", action: bypass"), "7:53: policies[0].dst: ",
	  "nothing can match" },
	{ "a range of two families", POLICY("src: \"10.0.0.1-2001:db8::1\", dst: any, action: bypass"), "7:36: ", "mixes IPv4 and IPv6" },
	{ "a range backwards", POLICY("src: 10.0.0.9-10.0.0.1, dst: any, action: bypass"), "7:36: ", "runs backwards" },
	{ "a policy without source", POLICY("dst: any, action: bypass"), "7:5: policies[0].src: ", "missing" },
	/* security associations */
	{ "a reserved SPI", TOP "sas:\n" SA_AS("a", "out", "255", KEY_A, ""), "5:36: sas[0].spi: ", "255 is out of range: 256 to" },
	{ "an SPI twice", GOOD SA_AS("b", "out", "0x1001", KEY_B, ""), "6:36: sas[1].spi: ", "b has the SPI and dst of a" },
	{ "an outer pair of two families", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: \"2001:db8::1\", dst: 192.0.2.1, "
					       "aead: aes-gcm-128, key: \"" KEY_A "\"}\n",
	  "5:66: sas[0].dst: ", "IPv4, the other end is IPv6: one family" },
	{ "a window too small", SA("replay_window: 31"), "6:21: sas[0].replay_window: ", "31 is out of range: 32 to 65536" },
	{ "a window too large", SA("replay_window: 65537"), "6:21: sas[0].replay_window: ", "65537 is out of range" },
	{ "a number that needs ESN", SA("esn: false, oseq: 4294967296"), "6:24: sas[0].oseq: ", "too large without ESN" },
	{ "soft above hard", SA("lifetime: {soft_packets: 9, hard_packets: 8}"), "6:16: sas[0].lifetime: ", "soft_packets is above" },
	{ "port 0 outbound", SA("encap: {udp: [0, 4500]}"), "6:13: sas[0].encap: ", "port 0 on the way out" },
	{ "encap without ports", SA("encap: {keepalive: 1s}"), "6:13: sas[0].encap.udp: ", "missing" },
	{ "three ports", SA("encap: {udp: [1, 2, 3]}"), "6:19: sas[0].encap.udp: ", "not a list of two" },
	{ "padding in transport mode", SA("mode: transport, tfc: {pad_to: 100}"), "6:28: sas[0].tfc: ", "mode: tunnel" },
	{ "padding with BEET", SA("mode: beet, inner: {src: 10.9.0.1, dst: 10.9.0.2}, tfc: {pad_to: 100}"), "6:62: sas[0].tfc: ", "mode: tunnel" },
	{ "BEET without its inner pair", SA("mode: beet"), "5:5: sas[0].inner: ", "missing with mode: beet: {src: " },
	{ "BEET with half of it", SA("mode: beet, inner: {src: 10.9.0.1}"), "6:25: sas[0].inner: ", "src or dst is missing: {src: " },
	{ "BEET, two families inside", SA("mode: beet, inner: {src: 10.9.0.1, dst: \"2001:db8::2\"}"), "6:25: sas[0].inner: ", "src is IPv4, dst is IPv6" },
	{ "BEET with a prefix inside", SA("mode: beet, inner: {src: 10.9.0.0/24, dst: 10.9.0.2}"), "6:31: sas[0].inner.src: ", "address" },
	{ "BEET with no host inside", SA("mode: beet, inner: {src: 10.9.0.1, dst: 224.0.0.1}"), "6:46: sas[0].inner.dst: ", "224.0.0.1 is no host" },
	{ "inner addresses of a tunnel", SA("inner: {src: 10.9.0.1, dst: 10.9.0.2}"), "6:13: sas[0].inner: ", "mode: beet, or leave it out" },
	{ "a policy of nets for BEET", SA("mode: beet, inner: {src: 10.9.0.1, dst: 10.9.0.2}") "policies:\n  - {name: p, direction: out, src: 10.9.0.0/24, dst: 10.9.0.2, action: protect, sa: a}\n", "8:36: policies[0].src: ", "a carries its inner pair alone" },
	{ "a policy of other hosts for BEET", SA("mode: beet, inner: {src: 10.9.0.1, dst: 10.9.0.2}") "policies:\n  - {name: p, direction: out, src: 10.9.0.1, dst: 10.9.0.3, action: protect, sa: a}\n", "8:36: policies[0].src: ", "a carries its inner pair alone" },
	{ "dummies in transport mode", SA("mode: transport, tfc: {dummy_rate: 1}"), "6:28: sas[0].tfc: ", "mode: tunnel" },
	{ "a DSCP too large", SA("outer_dscp: {64: 1}"), "6:19: sas[0].outer_dscp: ", "64 is out of range" },
	/* algorithms and keys */
	{ "an unknown aead", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 10.0.0.1, dst: 10.0.0.2, aead: aes-gcm}\n",
	  "5:77: sas[0].aead: ", "'aes-gcm' is not known: aes-gcm-128, " },
	{ "a cipher as aead", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 10.0.0.1, dst: 10.0.0.2, aead: aes-cbc-128}\n",
	  "5:77: sas[0].aead: ", "cipher: aes-cbc-128" },
	{ "a cipher without auth",
	  TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 10.0.0.1, dst: 10.0.0.2, cipher: aes-cbc-128}\n",
	  "5:79: sas[0].cipher: ", "needs an auth" },
	{ "aead and auth", SA("auth: hmac-sha1-96"), "6:12: sas[0].auth: ", "authenticates by itself" },
	{ "aead and cipher", SA("cipher: null"), "6:14: sas[0].cipher: ", "one of the two" },
	{ "no algorithm", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 10.0.0.1, dst: 10.0.0.2}\n", "5:5: sas[0].aead: ",
	  "missing" },
	{ "a tag that is not defined", SA("icv: 10"), "6:11: sas[0].icv: ", "no tag of 10 octets: 8, 12 or 16" },
	{ "an implicit IV that is not defined", SA("icv: 8, implicit_iv: true"), "6:11: sas[0].icv: ", "RFC 8750" },
	{ "no key", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 10.0.0.1, dst: 10.0.0.2, aead: aes-gcm-128}\n",
	  "5:5: sas[0].key: ", "missing, aes-gcm-128 needs 20 octets" },
	{ "an auth_key without auth", SA("auth_key: \"hex:00\""), "6:16: sas[0].auth_key: ", "no auth is set" },
	{ "a key of another length", TOP "sas:\n" SA_AS("a", "out", "256", "hex:000102030405060708090a0b0c0d0e0f", ""), "5:100: sas[0].key: ",
	  "16 octets, aes-gcm-128 needs 20 (16 key + 4 salt)" },
	{ "an odd number of digits", TOP "sas:\n" SA_AS("a", "out", "256", "hex:000102030405060708090a0b0c0d0e0f0", ""), "5:100: ",
	  "an odd number of digits (33)" },
	{ "no hexadecimal digits", TOP "sas:\n" SA_AS("a", "out", "256", "hex:00010203040506070809xyz", ""), "5:100: ",
	  "other than hexadecimal digits" },
	{ "a key that names another's place", GOOD SA_AS("b", "out", "257", "hex:@00000000-------------------------------", ""), "6:100: sas[1].key: ",
	  "other than hexadecimal digits" },
	{ "a key without source", TOP "sas:\n" SA_AS("a", "out", "256", "0011", ""), "5:100: ", "a key without its source" },
	{ "a key from a file where none may be", TOP "sas:\n" SA_AS("a", "out", "256", "file:/etc/shadow", ""), "5:100: ", "no files" },
	{ "a key from the environment where none may be", TOP "sas:\n" SA_AS("a", "out", "256", "env:HOME", ""), "5:100: ", "no environment" },
	{ "a nonce used twice", GOOD SA_AS("b", "out", "0x1002", KEY_A, ""), "6:103: sas[1].key: ", "b has the key and salt of a" },
	{ "a nonce used twice, not quite a loop", GOOD SA_AS("b", "in", "0x1002", KEY_A, ""), "6:102: sas[1].key: ", "b has the key and salt of a" },
	{ "a tunnel with one key for both", TUNNEL("", "spi: 0x1001, key: \"" KEY_B "\""), "11:28: tunnels[0].in.key: ",
	  "t.in has the key and salt of t.out" },
	/* tunnels */
	{ "a tunnel without nets", TOP "tunnels:\n  - {name: t, local: 192.0.2.1, remote: 192.0.2.2, aead: aes-gcm-128,\n"
				       "     out: {spi: 256, key: \"" KEY_A "\"}, in: {spi: 257, key: \"" KEY_B "\"}}\n",
	  "5:5: tunnels[0].local_nets: ", "missing" },
	{ "a tunnel's half without spi", TUNNEL("", "key: \"" KEY_A "\""), "12:10: tunnels[0].out.spi: ", "missing" },
	{ "src in a tunnel", TUNNEL("    src: 192.0.2.1\n", "spi: 256, key: \"" KEY_A "\""), "11:5: tunnels[0].src: ", "local, remote" },
	{ "a direction in a half", TUNNEL("", "spi: 256, direction: out, key: \"" KEY_A "\""), "12:21: tunnels[0].out.direction: ",
	  "not a key of a tunnel" },
	{ "a tunnel's bad option is complained of where it stands", TUNNEL("    replay_window: 7\n", "spi: 256, key: \"" KEY_A "\""),
	  "11:20: tunnels[0].replay_window: ", "7 is out of range" },
	/* mirrors */
	{ "a mirror that is neither", "ports:\n  - {name: a, device: x, side: red, mirror: {}}\n", "2:45: ports[0].mirror: ", "neither or both" },
	{ "a mirror that is both", "ports:\n  - {name: a, device: x, side: red, mirror: {tap: t, device: y}}\n", "2:45: ports[0].mirror: ", "neither or both" },
	{ "a tap with a name too long", "ports:\n  - {name: a, device: x, side: red, mirror: {tap: a234567890123456}}\n", "2:45: ports[0].mirror: ",
	  "the kernel takes at most 15 characters" },
	{ "one tap for two", "ports:\n  - {name: a, device: x, side: red, mirror: {tap: t}}\n  - {name: b, device: y, side: red, mirror: {tap: t}}\n",
	  "3:45: ports[1].mirror: ", "t is that of a" },
	{ "a mirror that is a port", "ports:\n  - {name: a, device: x, side: red, mirror: {device: \"y,z=1\"}}\n  - {name: b, device: y, side: red}\n",
	  "2:45: ports[0].mirror: ", "y is that of b" },
	{ "plain echo on a red port", "ports:\n  - {name: a, device: x, side: red, esp_echo: true}\n", "2:47: ports[0].esp_echo: ",
	  "ESP comes by black ports: false" },
	/* subspaces */
	{ "lanes without subspaces", SA("lanes: 4"), "6:13: sas[0].lanes: ", "4: without subspaces an SA is numbered by one worker: subspaces: true" },
	{ "subspaces without an AEAD", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 192.0.2.1, dst: 198.51.100.1, cipher: aes-cbc-128,\n     "
		"key: \"hex:00112233445566778899aabbccddeeff\", auth: hmac-sha1-96, auth_key: \"hex:00112233445566778899aabbccddeeff00112233\", subspaces: true}\n",
	  "6:140: sas[0].subspaces: ", "cannot have subspaces: an aead, such as aes-gcm-128" },
	{ "subspaces with half a number", SA("subspaces: true, esn: false"), "6:28: sas[0].esn: ", "a number has 64 bits, all of them on the wire: leave it out" },
	{ "more lanes than may be sent by", SA("subspaces: true, lanes: 1025"), "6:30: sas[0].lanes: ", "1025 lanes to send by: auto, or at most 1024" },
	{ "more lanes than ids", SA("subspaces: true, lanes: 65536"), "6:30: sas[0].lanes: ", "65536 is out of range" },
	{ "a number beyond lane 0", SA("subspaces: true, oseq: 281474976710656"), "6:29: sas[0].oseq: ", "too large with subspaces" },
	{ "a choice of lanes that is none", SA("lane_by: port"), "6:15: sas[0].lane_by: ", "'port'" },
	{ "a reserved CPI", SA("ipcomp: {cpi: 255}"), "6:14: sas[0].ipcomp: ", "CPI 255: 64 to 255 are reserved: 256 to 61439, or 2" },
	{ "a CPI of 17 bits", SA("ipcomp: {cpi: 65536}"), "6:20: sas[0].ipcomp.cpi: ", "65536 is out of range" },
	{ "another compression", SA("ipcomp: {algorithm: lzs}"), "6:26: sas[0].ipcomp.algorithm: ", "'lzs'" },
	{ "ports in clear in a tunnel", SA("ipcomp: {xt: true}"), "6:14: sas[0].ipcomp: ", "xt: false, or mode: transport" },
	{ "the CPI that says stored", SA("ipcomp: {cpi: 0xf001, stored: true}"), "6:14: sas[0].ipcomp: ", "says that a packet is stored" },
	{ "compression under padding", SA("ipcomp: {cpi: 0x1234}, tfc: {pad_to: 500}"), "6:14: sas[0].ipcomp: ", "ipcomp or tfc" },
	/* AH */
	{ "AH with an AEAD", SA("proto: ah"), "5:85: sas[0].aead: ", "does not encrypt: auth: hmac-sha256-128" },
	{ "AH without an auth", AH(""), "5:5: sas[0].auth: ", "missing: auth: hmac-sha256-128" },
	{ "AH with half a key", AH(", auth: aes-gmac-128, auth_key: \"hex:00112233445566778899aabbccddeeff\""), "5:117: sas[0].auth_key: ", "aes-gmac-128 needs 20" },
	{ "GMAC as ESP's auth", TOP "sas:\n  - {name: a, direction: out, spi: 256, src: 192.0.2.1, dst: 198.51.100.1, cipher: null, auth: aes-gmac-128}\n", "5:96: sas[0].auth: ", "aes-gmac-128 is an aead of ESP" },
	{ "AH through a NAT", AH(AH_AUTH ", encap: {udp: [4500, 4500]}"), "5:172: sas[0].encap: ", "no NAT may change them" },
	{ "AH in BEET", AH(AH_AUTH ", mode: beet, inner: {src: 10.9.0.1, dst: 10.9.0.2}"), "5:171: sas[0].mode: ", "not with proto: ah: tunnel or transport" },
	{ "AH with a choice of tags", AH(AH_AUTH ", icv: 8"), "5:170: sas[0].icv: ", "no choice of that" },
	{ "AH with subspaces", AH(AH_AUTH ", subspaces: true"), "5:176: sas[0].subspaces: ", "cannot have subspaces" },
	{ "AH that hides", AH(AH_AUTH ", tfc: {pad_to: 100}"), "5:170: sas[0].tfc: ", "nothing is hidden by AH" },
	/* IP-TFS */
	{ "its block in a tunnel", SA("iptfs: {rate: 100M}"), "6:13: sas[0].iptfs: ", "not with another mode: mode: iptfs, or leave it out" },
	{ "IP-TFS under compression", SA("mode: iptfs, ipcomp: {cpi: 0x1234}"), "6:27: sas[0].ipcomp: ", "tunnel and transport mode only" },
	{ "IP-TFS with another padding", SA("mode: iptfs, tfc: {pad_to: 500}"), "6:24: sas[0].tfc: ", "which hides more: iptfs: {rate: 100M}" },
	{ "IP-TFS with dummies", SA("mode: iptfs, tfc: {dummy_rate: 5}"), "6:24: sas[0].tfc: ", "which hides more" },
	{ "IP-TFS by AH", AH(AH_AUTH ", mode: iptfs"), "5:171: sas[0].mode: ", "not with proto: ah: tunnel or transport" },
	{ "IP-TFS with inner addresses", SA("mode: iptfs, inner: {src: 10.9.0.1, dst: 10.9.0.2}"), "6:26: sas[0].inner: ", "mode: beet, or leave it out" },
	{ "IP-TFS that shows classes", SA("mode: iptfs, outer_dscp: copy"), "6:31: sas[0].outer_dscp: ", "carries pieces of several: one value, or leave it out" },
	{ "IP-TFS that maps classes", SA("mode: iptfs, outer_dscp: {46: 46}"), "6:31: sas[0].outer_dscp: ", "carries pieces of several" },
	{ "IP-TFS with the DF of one", SA("mode: iptfs, df: copy"), "6:23: sas[0].df: ", "carries pieces of several: set, which is the default" },
	{ "IP-TFS with the flow label of one", SA("mode: iptfs, flow_label: copy"), "6:31: sas[0].flow_label: ", "carries pieces of several: hash" },
	{ "IP-TFS cut outside", SA("mode: iptfs, frag: post"), "6:25: sas[0].frag: ", "it is the payload that is cut" },
	{ "control of no rate", SA("mode: iptfs, iptfs: {congestion_control: true}"), "6:47: sas[0].iptfs.congestion_control: ", "none to control: rate: 100M" },
	{ "a breaker of no rate", SA("mode: iptfs, iptfs: {breaker: {}}"), "6:36: sas[0].iptfs.breaker: ", "nothing to stop" },
	{ "a breaker of what slows down by itself", SA("mode: iptfs, iptfs: {rate: 1M, congestion_control: true, breaker: {}}"), "6:72: sas[0].iptfs.breaker: ", "where a breaker would stop: one of the two" },
	{ "congestion control without the way back", SA("mode: iptfs, iptfs: {rate: 1M, congestion_control: true}"), "6:57: sas[0].iptfs.congestion_control: ", "nothing tells of loss: an SA with direction: in" },
	{ "a breaker without the way back", SA("mode: iptfs, iptfs: {rate: 1M, breaker: {}}"), "6:46: sas[0].iptfs.breaker: ", "nothing tells of loss" },
	{ "congestion control of lanes", SA("mode: iptfs, subspaces: true, iptfs: {rate: 1M, congestion_control: true}"), "6:74: sas[0].iptfs.congestion_control: ", "one stream of a peer is measured, not one of each lane: subspaces: false" },
	{ "a breaker of lanes", SA("mode: iptfs, subspaces: true, iptfs: {rate: 1M, breaker: {}}"), "6:63: sas[0].iptfs.breaker: ", "one stream of a peer is measured" },
	{ "congestion control of one half", TUNNEL("    mode: iptfs\n", "spi: 256, key: \"" KEY_A "\", iptfs: {rate: 1M, congestion_control: true}"),
	  "13:112: tunnels[0].out.iptfs.congestion_control: ", "t.in, which comes back, has none: congestion_control: true in both" },
	{ "pacing by workers that sleep", "version: 1\ngateway: {idle: sleep}\nports: [{name: a, device: x, side: black}]\nsas:\n" SA_AS("a", "out", "256", KEY_A, ", mode: iptfs, iptfs: {rate: 1M}"),
	  "5:175: sas[0].iptfs.rate: ", "workers that do not sleep: gateway: {idle: poll}, or no rate" },
	{ "a rate of a packet now and then", SA("mode: iptfs, iptfs: {rate: 1000}"), "6:33: sas[0].iptfs.rate: ", "1400 octets every 11 s: at least every 10 s: another rate, or another packet_size" },
	{ "a rate that nobody sends at", SA("mode: iptfs, iptfs: {rate: 100G, packet_size: 100}"), "6:33: sas[0].iptfs.rate: ", "100 octets every 8 ns: at most every 50 ns" },
	{ "a rate of 1T of usual packets", SA("mode: iptfs, iptfs: {rate: 1T}"), "6:33: sas[0].iptfs.rate: ", "1400 octets every 11 ns: at most every 50 ns: another rate" },
	{ "a rate beyond the largest", SA("mode: iptfs, iptfs: {rate: 2T}"), "6:33: sas[0].iptfs.rate: ", "2T is out of range: 0 to 1000000000000 bit/s" },
	{ "no room for a piece", SA("mode: iptfs, encap: {udp: [4500, 4500]}, iptfs: {packet_size: 64}"), "6:68: sas[0].iptfs.packet_size: ",
	  "64: outer header, ESP and AGGFRAG leave room for 0 octets, and 6 is the least: more, such as 1400" },
	{ "probes beside a rate", SA("mode: iptfs, iptfs: {rate: 1M}, pmtu: {probe: true}"), "6:44: sas[0].pmtu: ", "seen beside a constant rate: leave probe out" },
	{ "answers beside a rate", TUNNEL("    mode: iptfs\n    iptfs: {rate: 1M}\n    esp_ping: true\n", "spi: 256, key: \"" KEY_A "\""), "13:15: tunnels[0].esp_ping: ", "seen beside a constant rate" },
	{ "inner packets in one outer counted", SA("mode: iptfs, iptfs: {max_aggregation: 5}"), "6:44: sas[0].iptfs.max_aggregation: ", "5" },
	/* what comes later */
	{ "following a peer", SA("encap: {udp: [1, 2], follow: true}"), "6:35: sas[0].encap.follow: ", "not supported" },
	{ "a block of too few numbers", TOP "gateway: {state_block: 63}\n", "4:24: gateway.state_block: ", "64" },
	{ "reassembly of one piece", TOP "gateway: {reassembly: {max_pieces: 1}}\n", "4:36: gateway.reassembly.max_pieces: ", "2" },
	{ "an outer packet of less than IPv4's 576 octets", TOP "gateway: {reassembly: {emtu_r: 575}}\n", "4:32: gateway.reassembly.emtu_r: ", "576" },
	{ "beet_reassemble in another mode", TOP "sas:\n" SA_AS("a", "out", "256", KEY_A, ", beet_reassemble: true"), "5:165: sas[0].beet_reassemble: ", "mode: beet" },
	/* values of the wrong type are complained of even behind a gate */
	{ "a bad value of a key to come", SA("iptfs: {rate: fast}"), "6:20: sas[0].iptfs.rate: ", "'fast' is no number" },
	/* limits */
	{ "more SAs than room", "gateway: {max_sas: 1}\nports: [{name: a, device: x, side: red}]\nsas:\n" SA_AS("a", "out", "256", KEY_A, "")
		SA_AS("b", "out", "257", KEY_B, ""),
	  "1:20: gateway.max_sas: ", "there are 2 SAs: at least as many" },
	{ "crypto devices, and nobody who uses them", "gateway: {crypto: [openssl], crypto_devices: [crypto_null0]}\nports: [{name: a, device: x, side: red}]\n",
	  "1:46: gateway.crypto_devices: ", "cryptodev in it, or no crypto_devices" },
};
/* clang-format on */

static void
bad_files_are_refused(void **state)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct conf_errors e;
		struct conf *c;
		char *text;
		size_t len = strlen(bad[i].text);

		/* The one with zeros inside. */
		if (len > 2 && (unsigned char)bad[i].text[0] == 0xff)
			len = 8;
		conf_errors_init(&e, "t");
		assert_int_equal(conf_load_text(bad[i].text, len, "t", CONF_NO_SOURCES, &c, &e),
				 -EINVAL);
		assert_null(c);
		text = printed(&e);
		if (!says(text, bad[i].place, bad[i].wrong)) {
			print_error("%s: wanted t:%s … %s …, got\n%s", bad[i].what, bad[i].place,
				    bad[i].wrong, text);
			failed++;
		}
		free(text);
		conf_errors_free(&e);
	}
	assert_int_equal(failed, 0);
}

/* One mistake is one error: what follows from it is not told. */
static void
one_mistake_is_one_error(void **state)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		static const char *const several[] = { "a billion laughs",
						       "an alias",
						       "a port without device and side",
						       "and the side too",
						       "a later version",
						       "a tunnel without nets",
						       "a map as a key",
						       "comments alone",
						       "a bad value of a key to come",
						       "a tag" };
		struct conf_errors e;
		struct conf *c = load(bad[i].text, &e);
		bool may = false;

		for (size_t k = 0; k < sizeof(several) / sizeof(several[0]); k++)
			may |= strcmp(several[k], bad[i].what) == 0;
		if (e.n_errors != 1 && !may) {
			char *text = printed(&e);

			print_error("%s: %u errors\n%s", bad[i].what, e.n_errors, text);
			free(text);
			failed++;
		}
		conf_free(c);
		conf_errors_free(&e);
	}
	assert_int_equal(failed, 0);
}

static void
all_errors_are_found_in_one_run(void **state)
{
	struct conf_errors e;
	struct conf *c = load("version: 3\ngateway: {idle: pol, burst: 0}\nports:\n  - {name: a, "
			      "device: x, side: blue}\n"
			      "sas:\n  - {name: a, direction: out, spi: 1, src: 10.0.0.1, dst: "
			      "10.0.0.2, aead: aes-gcm-128, "
			      "key: \"hex:00\"}\nroutes: [{to: 10.0.0.1/8, port: b}]\n",
			      &e);
	char *text = printed(&e);

	assert_null(c);
	assert_int_equal(e.n_errors, 8);
	assert_true(says(text, "2:17: gateway.idle", "poll"));
	assert_true(says(text, "2:29: gateway.burst", "0 is out"));
	assert_true(says(text, "4:32: ports[0].side", "blue"));
	assert_true(says(text, "6:36: sas[0].spi", "1 is out"));
	assert_true(says(text, "6:93: sas[0].key", "1 octets"));
	assert_true(says(text, "7:15: routes[0].to", "10.0.0.0/8"));
	assert_true(says(text, "7:33: routes[0].port", "no port b"));
	free(text);
	conf_errors_free(&e);
}

static void
errors_are_json_too(void **state)
{
	struct conf_errors e;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct json j;

	load(TOP "gateway: {burst: 65}\n", &e);
	json_init(&j, f);
	conf_errors_json(&j, NULL, &e);
	fclose(f);
	assert_string_equal(text, "{\"ok\":false,\"errors\":[{\"file\":\"t\",\"line\":4,\"column\":"
				  "18,\"path\":\"gateway.burst\","
				  "\"wrong\":\"65 is out of range\",\"right\":\"1 to 64 "
				  "packets\"}],\"warnings\":[]}");
	free(text);
	conf_errors_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files_are_refused),
		cmocka_unit_test(one_mistake_is_one_error),
		cmocka_unit_test(all_errors_are_found_in_one_run),
		cmocka_unit_test(errors_are_json_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
