/* AEADs as ESP uses them. */
#include "vectors.h"

#include <rte_common.h>

/* clang-format off */
const struct aead_vector vectors_aead[] = {
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, with ESN",
		.cipher = ALG_AES_GCM_128,
		.key = "4c80cdefbb5d10da906ac73c3613a634",
		.nonce = "2e443b684956ed7e3b244cfe",
		.aad = "000043218765432100000000",
		.plain =
			"45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000"
			"045f736970045f756470037369700963796265726369747902646b000021000101020201",
		.text =
			"fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f"
			"14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732",
		.tag = "459018148f6cbe722fd04796562dfdb4",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, without ESN",
		.cipher = ALG_AES_GCM_128,
		.key = "feffe9928665731c6d6a8f9467308308",
		.nonce = "cafebabefacedbaddecaf888",
		.aad = "0000a5f80000000a",
		.plain =
			"4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d0010000010000"
			"00000000037369700963796265726369747902646b00000100010001",
		.text =
			"deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827"
			"c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1",
		.tag = "83b70d3aa8bc6ee4c309e9d85a41ad4a",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, without ESN",
		.cipher = ALG_AES_GCM_256,
		.key = "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
		.nonce = "112233440102030405060708",
		.aad = "4a2cbfe300000002",
		.plain =
			"4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee00000000070024000"
			"20bf0000020405b40101040201020201",
		.text =
			"ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a6379"
			"85771d347f0545659f14e99def842d8e",
		.tag = "b335f4eecfdbf831824b4c4915956c96",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, with ESN",
		.cipher = ALG_AES_GCM_128,
		.key = "3de09874b388e6491988d0c3607eae1f",
		.nonce = "57690e434e280000a2fca1a3",
		.aad = "42f67e3f1010101010101010",
		.plain = "4500001c42a200008001441f406793b6e00000020a00f5ff01020201",
		.text = "fba2ca845e5df9f0f22c3e6e86dd831e1fc65792cd1af9130e1379ed",
		.tag = "369f071f35e034be95f112e4e7d05d35",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, without ESN",
		.cipher = ALG_AES_GCM_192,
		.key = "feffe9928665731c6d6a8f9467308308feffe9928665731c",
		.nonce = "cafebabefacedbaddecaf888",
		.aad = "0000a5f80000000a",
		.plain =
			"45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d0"
			"75680001",
		.text =
			"a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b2745"
			"2144cc77",
		.tag = "95457b9652037f5318027b5b4cd7a636",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, with ESN",
		.cipher = ALG_AES_GCM_256,
		.key = "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
		.nonce = "73616c74616e640169766563",
		.aad = "17405e67156f3126dd0db99b",
		.plain =
			"45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb71260250101f64"
			"6d540001",
		.text =
			"f2d69ecdbd5a0d5b8d5ef38bad4da58d1f278fde98ef67549d524a3018d9a57ff4d3a31c"
			"e673119e",
		.tag = "451626c2415771e3b7eebca614c89b35",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, without ESN",
		.cipher = ALG_AES_GCM_128,
		.key = "7d773d00c144c525ac619d18c84a3f47",
		.nonce = "d966426743457e9182443bc6",
		.aad = "335467aeffffffff",
		.plain = "01020201",
		.text = "437f866b",
		.tag = "cb3f699fe9b0822bac961c4504bef270",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, with ESN",
		.cipher = ALG_AES_GCM_128,
		.key = "abbccddef00112233445566778899aab",
		.nonce = "decaf888cafedebaceface74",
		.aad = "000001000000000000000001",
		.plain = "746f016265016f72016e6f7401746f0162650001",
		.text = "29c9fc69a197d038ccdd14e2ddfcaa0543332164",
		.tag = "412503524303ed3c6c5f283843af8c3e",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, with ESN",
		.cipher = ALG_AES_GCM_256,
		.key = "6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961",
		.nonce = "7475726e333021696765746d",
		.aad = "796b6963ffffffffffffffff",
		.plain =
			"45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768"
			"696a6b6c6d6e6f707172737401020201",
		.text =
			"f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a864cd3d78c"
			"a4ae68a32b42458fb57dbe821dcc63b9",
		.tag = "d0937ba2945f669368661a329fb4c053",
	},
	{
		.source = "draft-mcgrew-gcm-test-01 section 4, GMAC",
		.cipher = ALG_AES_GMAC_128,
		.key = "4c80cdefbb5d10da906ac73c3613a634",
		.nonce = "22433c640000000000000000",
		.aad = "0000432100000007",
		.plain =
			"45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768"
			"696a6b6c6d6e6f707172737401020201",
		.text =
			"45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768"
			"696a6b6c6d6e6f707172737401020201",
		.tag = "f2a9a836e155106aa8dcd618e4099aaa",
	},
	{
		.source = "RFC 7634 appendix A",
		.cipher = ALG_CHACHA20_POLY1305,
		.key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
		.nonce = "a0a1a2a31011121314151617",
		.aad = "0102030400000005",
		.plain =
			"45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec1000073627"
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b"
			"2c2d2e2f303132333435363701020204",
		.text =
			"24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099"
			"d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b50"
			"2773f6fb94e664da9165b82829f641e0",
		.tag = "76aaa8266b7fb0f7b11b369907e1ad43",
	},
};
/* clang-format on */

const size_t n_vectors_aead = RTE_DIM(vectors_aead);
