/* Ciphers that want a tag beside them. */
#include "vectors.h"

#include <rte_common.h>

/* clang-format off */
const struct cipher_vector vectors_cipher[] = {
	{
		.source = "RFC 3602 section 4, case 1",
		.cipher = ALG_AES_CBC_128,
		.key = "06a9214036b8a15b512e03d534120006",
		.iv = "3dafba429d9eb430b422da802c9fac41",
		.plain = "53696e676c6520626c6f636b206d7367",
		.text = "e353779c1079aeb82708942dbe77181a",
	},
	{
		.source = "RFC 3602 section 4, case 2",
		.cipher = ALG_AES_CBC_128,
		.key = "c286696d887c9aa0611bbb3e2025a45a",
		.iv = "562e17996d093d28ddb3ba695a2e6f58",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		.text = "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
	},
	{
		.source = "RFC 3602 section 4, case 3",
		.cipher = ALG_AES_CBC_128,
		.key = "6c3ea0477630ce21a2ce334aa746c2cd",
		.iv = "c782dc4c098c66cbd9cd27d825682c81",
		.plain =
			"5468697320697320612034382d62797465206d657373616765202865786163746c792033"
			"2041455320626c6f636b7329",
		.text =
			"d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c1921"
			"6bad525c8579695d83ba2684",
	},
	{
		.source = "RFC 3602 section 4, case 4",
		.cipher = ALG_AES_CBC_128,
		.key = "56e47a38c5598974bc46903dba290349",
		.iv = "8ce82eefbea0da3c44699ed7db51b7d9",
		.plain =
			"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3"
			"c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
		.text =
			"c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa6"
			"32c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
	},
	{
		.source = "RFC 3602 section 4, case 5: transport mode",
		.cipher = ALG_AES_CBC_128,
		.key = "90d382b410eeba7ad938c46cec1a82bf",
		.iv = "e96e8c08ab465763fd098d45dd3ff893",
		.plain =
			"08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b"
			"1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536370102030405060708"
			"090a0b0c0d0e0e01",
		.text =
			"f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e52"
			"3a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d59"
			"13ac19b7cfbad4a6",
	},
	{
		.source = "RFC 3602 section 4, case 7: tunnel mode",
		.cipher = ALG_AES_CBC_128,
		.key = "0123456789abcdef0123456789abcdef",
		.iv = "f4e765244f6407adf13dc1380f673f37",
		.plain =
			"45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a20400"
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b"
			"2c2d2e2f30313233343536370102030405060708090a0a04",
		.text =
			"773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec7"
			"8ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2"
			"201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
	},
	{
		.source = "NIST SP 800-38A F.2.3",
		.cipher = ALG_AES_CBC_192,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.plain =
			"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.text =
			"4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
			"12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
	},
	{
		.source = "NIST SP 800-38A F.2.5",
		.cipher = ALG_AES_CBC_256,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.plain =
			"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.text =
			"f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
			"a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
	},
	{
		.source = "RFC 3686 section 6, vector 1",
		.cipher = ALG_AES_CTR_128,
		.key = "ae6852f8121067cc4bf7a5765577f39e",
		.iv = "000000300000000000000000",
		.plain = "53696e676c6520626c6f636b206d7367",
		.text = "e4095d4fb7a7b3792d6175a3261311b8",
	},
	{
		.source = "RFC 3686 section 6, vector 2",
		.cipher = ALG_AES_CTR_128,
		.key = "7e24067817fae0d743d6ce1f32539163",
		.iv = "006cb6dbc0543b59da48d90b",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		.text = "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28",
	},
	{
		.source = "RFC 3686 section 6, vector 3",
		.cipher = ALG_AES_CTR_128,
		.key = "7691be035e5020a8ac6e618529f9a0dc",
		.iv = "00e0017b27777f3f4a1786f0",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
		.text = "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f",
	},
	{
		.source = "RFC 3686 section 6, vector 4",
		.cipher = ALG_AES_CTR_192,
		.key = "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515",
		.iv = "0000004836733c147d6d93cb",
		.plain = "53696e676c6520626c6f636b206d7367",
		.text = "4b55384fe259c9c84e7935a003cbe928",
	},
	{
		.source = "RFC 3686 section 6, vector 5",
		.cipher = ALG_AES_CTR_192,
		.key = "7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a",
		.iv = "0096b03b020c6eadc2cb500d",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		.text = "453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00",
	},
	{
		.source = "RFC 3686 section 6, vector 6",
		.cipher = ALG_AES_CTR_192,
		.key = "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe",
		.iv = "0007bdfd5cbd60278dcc0912",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
		.text = "96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935",
	},
	{
		.source = "RFC 3686 section 6, vector 7",
		.cipher = ALG_AES_CTR_256,
		.key = "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104",
		.iv = "00000060db5672c97aa8f0b2",
		.plain = "53696e676c6520626c6f636b206d7367",
		.text = "145ad01dbf824ec7560863dc71e3e0c0",
	},
	{
		.source = "RFC 3686 section 6, vector 8",
		.cipher = ALG_AES_CTR_256,
		.key = "f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884",
		.iv = "00faac24c1585ef15a43d875",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		.text = "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c",
	},
	{
		.source = "RFC 3686 section 6, vector 9",
		.cipher = ALG_AES_CTR_256,
		.key = "ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d",
		.iv = "001cc5b751a51d70a1c11148",
		.plain = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
		.text = "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8",
	},
};
/* clang-format on */

const size_t n_vectors_cipher = RTE_DIM(vectors_cipher);
