/* Tags beside a cipher. */
#include "vectors.h"

#include <rte_common.h>

/* clang-format off */
const struct auth_vector vectors_auth[] = {
	{
		.source = "RFC 2202 section 3, case 2",
		.auth = ALG_HMAC_SHA1_96,
		.key = "4a656665",
		.message = "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		.tag = "effcdf6ae5eb2fa2d27416d5",
	},
	{
		.source = "RFC 2202 section 3, case 3",
		.auth = ALG_HMAC_SHA1_96,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "125d7342b9ac11cd91a39af4",
	},
	{
		.source = "RFC 4231 section 4.3",
		.auth = ALG_HMAC_SHA256_128,
		.key = "4a656665",
		.message = "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		.tag = "5bdcc146bf60754e6a042426089575c7",
	},
	{
		.source = "RFC 4231 section 4.4",
		.auth = ALG_HMAC_SHA256_128,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "773ea91e36800e46854db8ebd09181a7",
	},
	{
		.source = "RFC 4231 section 4.5",
		.auth = ALG_HMAC_SHA256_128,
		.key = "0102030405060708090a0b0c0d0e0f10111213141516171819",
		.message =
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		.tag = "82558a389a443c0ea4cc819899f2083a",
	},
	{
		.source = "RFC 4231 section 4.3",
		.auth = ALG_HMAC_SHA384_192,
		.key = "4a656665",
		.message = "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		.tag = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47",
	},
	{
		.source = "RFC 4231 section 4.4",
		.auth = ALG_HMAC_SHA384_192,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9feb",
	},
	{
		.source = "RFC 4231 section 4.5",
		.auth = ALG_HMAC_SHA384_192,
		.key = "0102030405060708090a0b0c0d0e0f10111213141516171819",
		.message =
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		.tag = "3e8a69b7783c25851933ab6290af6ca77a9981480850009c",
	},
	{
		.source = "RFC 4231 section 4.3",
		.auth = ALG_HMAC_SHA512_256,
		.key = "4a656665",
		.message = "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		.tag = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554",
	},
	{
		.source = "RFC 4231 section 4.4",
		.auth = ALG_HMAC_SHA512_256,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39",
	},
	{
		.source = "RFC 4231 section 4.5",
		.auth = ALG_HMAC_SHA512_256,
		.key = "0102030405060708090a0b0c0d0e0f10111213141516171819",
		.message =
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		.tag = "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db",
	},
	{
		.source = "RFC 4868 section 2.7.2.1, AUTH256-3",
		.auth = ALG_HMAC_SHA256_128,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "cdcb1220d1ecccea91e53aba3092f962",
	},
	{
		.source = "RFC 4868 section 2.7.2.2, AUTH384-3",
		.auth = ALG_HMAC_SHA384_192,
		.key =
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "809f439be00274321d4a538652164b53554a508184a0c316",
	},
	{
		.source = "RFC 4868 section 2.7.2.3, AUTH512-3",
		.auth = ALG_HMAC_SHA512_256,
		.key =
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.message =
			"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddd",
		.tag = "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8",
	},
	{
		.source = "RFC 3566 section 4.6, case 3",
		.auth = ALG_AES_XCBC_96,
		.key = "000102030405060708090a0b0c0d0e0f",
		.message = "000102030405060708090a0b0c0d0e0f",
		.tag = "d2a246fa349b68a79998a439",
	},
	{
		.source = "RFC 3566 section 4.6, case 4",
		.auth = ALG_AES_XCBC_96,
		.key = "000102030405060708090a0b0c0d0e0f",
		.message = "000102030405060708090a0b0c0d0e0f10111213",
		.tag = "47f51b4564966215b8985c63",
	},
	{
		.source = "RFC 3566 section 4.6, case 5",
		.auth = ALG_AES_XCBC_96,
		.key = "000102030405060708090a0b0c0d0e0f",
		.message = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		.tag = "f54f0ec8d2b9f3d36807734b",
	},
	{
		.source = "RFC 3566 section 4.6, case 6",
		.auth = ALG_AES_XCBC_96,
		.key = "000102030405060708090a0b0c0d0e0f",
		.message = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021",
		.tag = "becbb3bccdb518a30677d548",
	},
	{
		.source = "RFC 3566 section 4.6, case 7",
		.auth = ALG_AES_XCBC_96,
		.key = "000102030405060708090a0b0c0d0e0f",
		.message =
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000000000000000000"
			"00000000000000000000000000000000000000000000000000000000",
		.tag = "f0dafee895db30253761103b",
	},
	{
		.source = "RFC 4494 section 4, case 2",
		.auth = ALG_AES_CMAC_96,
		.key = "2b7e151628aed2a6abf7158809cf4f3c",
		.message = "6bc1bee22e409f96e93d7e117393172a",
		.tag = "070a16b46b4d4144f79bdd9d",
	},
	{
		.source = "RFC 4494 section 4, case 3",
		.auth = ALG_AES_CMAC_96,
		.key = "2b7e151628aed2a6abf7158809cf4f3c",
		.message =
			"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411",
		.tag = "dfa66747de9ae63030ca3261",
	},
	{
		.source = "RFC 4494 section 4, case 4",
		.auth = ALG_AES_CMAC_96,
		.key = "2b7e151628aed2a6abf7158809cf4f3c",
		.message =
			"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.tag = "51f0bebf7e3b9d92fc497417",
	},
};
/* clang-format on */

const size_t n_vectors_auth = RTE_DIM(vectors_auth);
