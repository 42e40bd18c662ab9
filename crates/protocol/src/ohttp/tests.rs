use bhttp::{Message, Mode, StatusCode};
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;

fn keys(seed: u8) -> GatewayKeys {
    GatewayKeys::new([seed; 32], seed).unwrap()
}

fn request(body: &[u8]) -> InnerRequest {
    InnerRequest {
        method: "POST".into(),
        authority: "00112233445566778899aabbccddeeff".into(),
        path_and_query: "/v1/sign?wallet=1".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_vec().into(),
    }
}

fn response(body: &[u8]) -> InnerResponse {
    InnerResponse {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_vec(),
    }
}

mod exchange {
    use super::*;

    #[test]
    fn a_request_and_its_response_arrive_as_they_were_sent() {
        let keys = keys(1);
        for len in [0, 1, 400, 5_000, MAX_BODY_LEN] {
            let sent = request(&vec![7; len]);
            let (sealed, context) = encapsulate(keys.encoded_config(), &sent).unwrap();
            let (received, sealer) = keys.open(&sealed, NOW).unwrap();
            assert!(sent == received);
            let reply = response(&vec![9; len]);
            assert!(context.open(&sealer.seal(&reply).unwrap()).unwrap() == reply);
        }
    }

    #[test]
    fn lengths_on_the_wire_do_not_follow_lengths_of_bodies() {
        let keys = keys(1);
        let sizes = |len| {
            let (sealed, _) = encapsulate(keys.encoded_config(), &request(&vec![1; len])).unwrap();
            let (_, sealer) = keys.open(&sealed, NOW).unwrap();
            (
                sealed.len(),
                sealer.seal(&response(&vec![1; len])).unwrap().len(),
            )
        };
        assert_eq!(sizes(0), sizes(200));
        assert_ne!(sizes(0), sizes(PADDING_BLOCK));
        // Header, ephemeral key and tag; nonce and tag.
        assert_eq!(
            sizes(0),
            (PADDING_BLOCK + 7 + 32 + 16, PADDING_BLOCK + 16 + 16)
        );
    }

    #[test]
    fn the_same_request_never_looks_the_same() {
        let keys = keys(1);
        let (first, _) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        let (second, _) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        assert_ne!(first[7..39], second[7..39]);
        assert!(!first.windows(8).any(|w| w == b"/v1/sign"));
    }

    #[test]
    fn an_altered_request_is_not_opened() {
        let keys = keys(1);
        let (sealed, _) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        // Every byte of the header, the ephemeral key, some of the ciphertext and all of the tag.
        for position in (0..60).chain(sealed.len() - 16..sealed.len()) {
            let mut altered = sealed.clone();
            altered[position] ^= 0x01;
            let expected = if position == 0 {
                OpenError::UnknownKey
            } else {
                OpenError::NotAuthentic
            };
            assert_eq!(
                keys.open(&altered, NOW).unwrap_err(),
                expected,
                "byte {position}"
            );
        }
        assert!(keys.open(&sealed, NOW).is_ok());
    }

    #[test]
    fn a_request_cut_short_or_lengthened_is_not_opened() {
        let keys = keys(1);
        let (sealed, _) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        for len in (0..64).chain([sealed.len() - 1]) {
            assert_eq!(
                keys.open(&sealed[..len], NOW).unwrap_err(),
                OpenError::NotAuthentic
            );
        }
        let longer = [&sealed[..], &[0]].concat();
        assert_eq!(
            keys.open(&longer, NOW).unwrap_err(),
            OpenError::NotAuthentic
        );
    }

    #[test]
    fn a_huge_request_or_response_is_refused_unread() {
        let keys = keys(1);
        let huge = vec![1; 10 << 20];
        assert_eq!(keys.open(&huge, NOW).unwrap_err(), OpenError::TooLarge);
        let (_, context) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        assert_eq!(context.open(&huge).unwrap_err(), ResponseError::TooLarge);
        let body = vec![0; MAX_BODY_LEN + 1];
        assert_eq!(
            encapsulate(keys.encoded_config(), &request(&body)).unwrap_err(),
            EncapsulateError::Message(MessageError::TooLarge("body"))
        );
        let (sealed, _) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        let (_, sealer) = keys.open(&sealed, NOW).unwrap();
        assert_eq!(
            sealer.seal(&response(&body)).unwrap_err(),
            SealError::Message(MessageError::TooLarge("body"))
        );
    }

    #[test]
    fn a_response_to_another_request_is_not_accepted() {
        let keys = keys(1);
        let (first, first_context) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        let (second, second_context) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        let (_, first_sealer) = keys.open(&first, NOW).unwrap();
        let (_, second_sealer) = keys.open(&second, NOW).unwrap();
        let swapped = first_sealer.seal(&response(b"first")).unwrap();
        assert_eq!(
            second_context.open(&swapped).unwrap_err(),
            ResponseError::NotAuthentic
        );
        let swapped = second_sealer.seal(&response(b"second")).unwrap();
        assert_eq!(
            first_context.open(&swapped).unwrap_err(),
            ResponseError::NotAuthentic
        );
    }

    #[test]
    fn an_altered_or_cut_response_is_not_accepted() {
        let keys = keys(1);
        let attempt = |alter: &dyn Fn(Vec<u8>) -> Vec<u8>| {
            let (sealed, context) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
            let (_, sealer) = keys.open(&sealed, NOW).unwrap();
            context.open(&alter(sealer.seal(&response(b"b")).unwrap()))
        };
        assert!(attempt(&|r| r).is_ok());
        for position in [0, 15, 16, 100, 527, 543] {
            let result = attempt(&|mut r| {
                r[position] ^= 0x80;
                r
            });
            assert_eq!(result.unwrap_err(), ResponseError::NotAuthentic);
        }
        for len in [0, 1, 15, 16, 17, 32, 543] {
            let result = attempt(&|mut r| {
                r.truncate(len);
                r
            });
            assert_eq!(result.unwrap_err(), ResponseError::NotAuthentic);
        }
    }

    #[test]
    fn a_host_that_made_its_own_key_cannot_answer() {
        let (enclave, host) = (keys(1), GatewayKeys::new([2; 32], 1).unwrap());
        let (sealed, _) = encapsulate(enclave.encoded_config(), &request(b"a")).unwrap();
        assert_eq!(
            host.open(&sealed, NOW).unwrap_err(),
            OpenError::NotAuthentic
        );
    }
}

mod rotation {
    use super::*;

    #[test]
    fn the_previous_key_opens_for_ten_minutes_and_not_a_second_longer() {
        let mut keys = keys(255);
        let old = keys.encoded_config().clone();
        let (sealed, _) = encapsulate(&old, &request(b"a")).unwrap();
        keys.rotate([7; 32], NOW).unwrap();
        assert_ne!(keys.encoded_config(), &old);
        assert_eq!(keys.encoded_config().key_id(), 0);
        assert!(keys.open(&sealed, NOW).is_ok());
        assert!(keys.open(&sealed, NOW + 599).is_ok());
        // Whether or not the caller has erased it yet.
        assert_eq!(
            keys.open(&sealed, NOW + 600).unwrap_err(),
            OpenError::UnknownKey
        );
        keys.expire(NOW + 599);
        assert!(keys.open(&sealed, NOW).is_ok());
        keys.expire(NOW + 600);
        assert_eq!(keys.open(&sealed, NOW).unwrap_err(), OpenError::UnknownKey);
    }

    #[test]
    fn a_key_two_rotations_old_is_gone() {
        let mut keys = keys(9);
        let (sealed, _) = encapsulate(keys.encoded_config(), &request(b"a")).unwrap();
        keys.rotate([7; 32], NOW).unwrap();
        keys.rotate([8; 32], NOW + 1).unwrap();
        assert_eq!(
            keys.open(&sealed, NOW + 1).unwrap_err(),
            OpenError::UnknownKey
        );
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let mut keys = keys(9);
        keys.rotate([7; 32], NOW).unwrap();
        assert_eq!(
            format!("{keys:?}"),
            "GatewayKeys { current: 10, previous: Some(9) }"
        );
    }
}

mod key_configuration {
    use super::*;

    #[test]
    fn only_one_configuration_with_the_one_suite_is_taken() {
        let good = keys(3).encoded_config().as_bytes().to_vec();
        assert_eq!(EncodedKeyConfig::parse(&good).unwrap().key_id(), 3);
        let altered = |position: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[position] = value;
            bytes
        };
        for (what, bad) in [
            ("nothing", vec![]),
            ("no outer length", good[2..].to_vec()),
            ("cut", good[..good.len() - 1].to_vec()),
            ("longer", [&good[..], &[0]].concat()),
            ("two of them", [&good[..], &good[..]].concat()),
            ("wrong outer length", altered(1, 40)),
            ("KEM P-256", altered(4, 0x10)),
            ("KDF HKDF-SHA512", altered(40, 3)),
            ("AEAD ChaCha20-Poly1305", altered(42, 3)),
            ("unknown AEAD", altered(42, 9)),
            ("suites of odd length", altered(38, 3)),
        ] {
            assert_eq!(EncodedKeyConfig::parse(&bad), Err(KeyConfigError), "{what}");
        }
    }

    #[test]
    fn a_public_key_of_small_order_is_not_sealed_to() {
        let mut bytes = keys(3).encoded_config().as_bytes().to_vec();
        bytes[5..37].fill(0);
        let config = EncodedKeyConfig::parse(&bytes).unwrap();
        assert_eq!(
            encapsulate(&config, &request(b"a")).unwrap_err(),
            EncapsulateError::KeyConfig
        );
    }
}

mod binary_http {
    use super::*;

    #[test]
    fn the_example_of_rfc_9458_decodes() {
        let bytes = hex::decode("00034745540568747470730b6578616d706c652e636f6d012f").unwrap();
        let decoded = InnerRequest::from_bhttp(&bytes).unwrap();
        assert_eq!(
            (&*decoded.method, &*decoded.authority),
            ("GET", "example.com")
        );
        assert_eq!((&*decoded.path_and_query, decoded.body.len()), ("/", 0));
        assert_eq!(
            InnerResponse::from_bhttp(&[0x01, 0x40, 0xc8])
                .unwrap()
                .status,
            200
        );
    }

    #[test]
    fn requests_that_are_ambiguous_or_of_another_form_are_refused() {
        let encode = |mode, alter: &dyn Fn(&mut Message)| {
            let mut message =
                Message::request(b"GET".into(), b"https".into(), b"a".into(), b"/".into());
            alter(&mut message);
            let mut bytes = Vec::new();
            message.write_bhttp(mode, &mut bytes).unwrap();
            bytes
        };
        let known = |alter: &dyn Fn(&mut Message)| encode(Mode::KnownLength, alter);
        let control = |parts: [&[u8]; 4]| {
            let [method, scheme, authority, path] = parts.map(<[u8]>::to_vec);
            let mut bytes = Vec::new();
            Message::request(method, scheme, authority, path)
                .write_bhttp(Mode::KnownLength, &mut bytes)
                .unwrap();
            bytes
        };
        assert!(InnerRequest::from_bhttp(&known(&|_| ())).is_ok());
        assert!(InnerRequest::from_bhttp(&control([b"GET", b"https", b"a", b"/"])).is_ok());

        let mut trailing = known(&|_| ());
        trailing.extend_from_slice(&[0, 0, 1]);
        let mut response = Vec::new();
        Message::response(StatusCode::OK)
            .write_bhttp(Mode::KnownLength, &mut response)
            .unwrap();
        for (what, bytes) in [
            ("empty", vec![]),
            ("a response", response),
            (
                "indeterminate length",
                encode(Mode::IndeterminateLength, &|_| ()),
            ),
            ("bytes after the message", trailing),
            ("trailers", known(&|m| m.put_trailer("a", "b"))),
            (
                "repeated name",
                known(&|m| (m.put_header("a", "1"), m.put_header("a", "1")).0),
            ),
            (
                "repeated cookie",
                known(&|m| (m.put_header("cookie", "1"), m.put_header("cookie", "2")).0),
            ),
            ("upper-case name", known(&|m| m.put_header("Host", "a"))),
            ("pseudo header", known(&|m| m.put_header(":path", "/b"))),
            ("empty name", known(&|m| m.put_header("", "a"))),
            (
                "line break in a value",
                known(&|m| m.put_header("a", "b\r\nc: d")),
            ),
            ("NUL in a value", known(&|m| m.put_header("a", "b\0"))),
            ("space around a value", known(&|m| m.put_header("a", " b"))),
            ("bytes in a value", known(&|m| m.put_header("a", [0xff]))),
            ("lower-case method", control([b"get", b"https", b"a", b"/"])),
            ("no method", control([b"", b"https", b"a", b"/"])),
            ("http", control([b"GET", b"http", b"a", b"/"])),
            ("no authority", control([b"GET", b"https", b"", b"/"])),
            (
                "authority with user",
                control([b"GET", b"https", b"u@a", b"/"]),
            ),
            (
                "upper-case authority",
                control([b"GET", b"https", b"A", b"/"]),
            ),
            ("relative path", control([b"GET", b"https", b"a", b"b"])),
            ("fragment", control([b"GET", b"https", b"a", b"/#b"])),
            ("space in path", control([b"GET", b"https", b"a", b"/a b"])),
        ] {
            assert!(
                matches!(
                    InnerRequest::from_bhttp(&bytes),
                    Err(MessageError::Malformed(_) | MessageError::TooLarge("trailer section"))
                ),
                "{what}"
            );
        }
    }

    #[test]
    fn limits_are_limits() {
        let with = |headers: Vec<(String, String)>| InnerRequest {
            headers,
            ..request(b"")
        };
        let numbered = |n: usize| (0..n).map(|i| (format!("h{i}"), String::new())).collect();
        assert!(with(numbered(MAX_HEADERS)).to_bhttp().is_ok());
        let too_large = Err(MessageError::TooLarge("header section"));
        assert_eq!(with(numbered(MAX_HEADERS + 1)).to_bhttp(), too_large);
        let long = vec![("a".to_owned(), "b".repeat(MAX_HEADER_SECTION_LEN))];
        assert_eq!(with(long).to_bhttp(), too_large);

        // The same, written by somebody who does not keep the limits.
        let mut message =
            Message::request(b"GET".into(), b"https".into(), b"a".into(), b"/".into());
        for i in 0..=MAX_HEADERS {
            message.put_header(format!("h{i}"), "");
        }
        let mut bytes = Vec::new();
        message.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
        assert_eq!(
            InnerRequest::from_bhttp(&bytes).unwrap_err(),
            MessageError::TooLarge("header section")
        );
        let lying = hex::decode("00034745540568747470730161012fc0000000ffffffff").unwrap();
        assert_eq!(
            InnerRequest::from_bhttp(&lying).unwrap_err(),
            MessageError::TooLarge("header section")
        );
    }

    #[test]
    fn informational_and_unknown_statuses_are_refused() {
        for status in [0_u16, 99, 100, 103, 199, 600, 999] {
            assert!(
                InnerResponse {
                    status,
                    ..response(b"")
                }
                .to_bhttp()
                .is_err(),
                "{status}"
            );
            let bytes = [0x01, 0x40 | (status >> 8) as u8, status as u8, 0, 0, 0];
            assert!(InnerResponse::from_bhttp(&bytes).is_err(), "{status}");
        }
    }

    #[test]
    fn nothing_inside_is_printed() {
        let mut secret = request(b"12345678");
        secret.headers.push(("cookie".into(), "canary".into()));
        secret.path_and_query = "/v1/x?code=canary".into();
        let printed = format!("{secret:?} {:?}", response(b"canary"));
        assert!(
            !printed.contains("canary") && !printed.contains("12345678"),
            "{printed}"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = InnerRequest::from_bhttp(&bytes);
            let _ = InnerResponse::from_bhttp(&bytes);
            let _ = keys(1).open(&bytes, NOW);
        }

        /// Whatever ours accepts, the library reads in the same way.
        #[test]
        fn the_two_decoders_agree(
            path in "/[a-z0-9?=&]{0,40}",
            names in proptest::collection::btree_set("[a-z][a-z0-9-]{0,20}", 0..8),
            value in "([!-~]([ -~]{0,20}[!-~])?)?",
            body in proptest::collection::vec(any::<u8>(), 0..2000),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let sent = InnerRequest {
                path_and_query: path,
                headers: names.into_iter().map(|n| (n, value.clone())).collect(),
                ..request(&body)
            };
            let mut bytes = sent.to_bhttp().unwrap();
            prop_assert_eq!(bytes.len() % PADDING_BLOCK, 0);
            prop_assert!(InnerRequest::from_bhttp(&bytes).unwrap() == sent);
            for (index, value) in flips {
                let position = index.index(bytes.len());
                bytes[position] = value;
            }
            if let Ok(ours) = InnerRequest::from_bhttp(&bytes) {
                let theirs = Message::read_bhttp(&mut std::io::Cursor::new(&bytes[..])).unwrap();
                prop_assert_eq!(theirs.control().method().unwrap(), ours.method.as_bytes());
                prop_assert_eq!(theirs.control().authority().unwrap(), ours.authority.as_bytes());
                prop_assert_eq!(theirs.control().path().unwrap(), ours.path_and_query.as_bytes());
                prop_assert_eq!(theirs.content(), &ours.body[..]);
                prop_assert_eq!(theirs.header().len(), ours.headers.len());
                for (field, (name, value)) in theirs.header().fields().iter().zip(&ours.headers) {
                    prop_assert_eq!(field.name(), name.as_bytes());
                    prop_assert_eq!(field.value(), value.as_bytes());
                }
            }
        }
    }
}

/// A second gateway, written from RFC 9458 on bare HPKE, HKDF and AES-GCM. It is first held
/// against the example of the RFC's appendix A, whose private key the library cannot import, and
/// then has to understand our client, and be understood by it.
mod second_gateway {
    use aes_gcm::aead::{Aead as _, KeyInit as _};
    use hpke::aead::AesGcm128;
    use hpke::kdf::HkdfSha256;
    use hpke::kem::X25519HkdfSha256;
    use hpke::{Deserializable as _, Kem, OpModeR, Serializable as _};

    use super::*;

    type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

    struct Opened {
        request: Vec<u8>,
        enc: Vec<u8>,
        secret: [u8; 16],
    }

    fn open(key: &PrivateKey, sealed: &[u8]) -> Opened {
        let (header, rest) = sealed.split_at(7);
        let (enc, ciphertext) = rest.split_at(32);
        let info = [b"message/bhttp request\0", header].concat();
        let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(enc).unwrap();
        let mut context = hpke::setup_receiver::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            key,
            &encapped,
            &info,
        )
        .unwrap();
        let request = context.open(ciphertext, &[]).unwrap();
        let mut secret = [0; 16];
        context
            .export(b"message/bhttp response", &mut secret)
            .unwrap();
        Opened {
            request,
            enc: enc.to_vec(),
            secret,
        }
    }

    impl Opened {
        fn seal(&self, nonce: [u8; 16], response: &[u8]) -> Vec<u8> {
            let salt = [&self.enc[..], &nonce].concat();
            let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &self.secret);
            let (mut key, mut aead_nonce) = ([0; 16], [0; 12]);
            hkdf.expand(b"key", &mut key).unwrap();
            hkdf.expand(b"nonce", &mut aead_nonce).unwrap();
            let sealed = aes_gcm::Aes128Gcm::new(&key.into())
                .encrypt(&aead_nonce.into(), response)
                .unwrap();
            [&nonce[..], &sealed].concat()
        }
    }

    #[test]
    fn rfc_9458_appendix_a() {
        let key = hex::decode("3c168975674b2fa8e465970b79c8dcf09f1c741626480bd4c6162fc5b6a98e1a");
        let key = PrivateKey::from_bytes(&key.unwrap()).unwrap();
        let public = X25519HkdfSha256::sk_to_pk(&key).to_bytes();
        assert_eq!(
            hex::encode(public),
            "31e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e798155"
        );
        let sealed = hex::decode(concat!(
            "010020000100014b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad19dec96c208b472",
            "6374e469135906992e1268c594d2a10c695d858c40a026e7965e7d86b83dd440b2c0185204b4d63525"
        ));
        let opened = open(&key, &sealed.unwrap());
        assert_eq!(
            hex::encode(&opened.request),
            "00034745540568747470730b6578616d706c652e636f6d012f"
        );
        assert_eq!(
            InnerRequest::from_bhttp(&opened.request).unwrap().authority,
            "example.com"
        );
        let nonce = hex::decode("c789e7151fcba46158ca84b04464910d")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(
            hex::encode(opened.seal(nonce, &[0x01, 0x40, 0xc8])),
            "c789e7151fcba46158ca84b04464910d86f9013e404feea014e7be4a441f234f857fbd"
        );
    }

    #[test]
    fn our_client_and_a_gateway_of_another_making_understand_each_other() {
        let (key, public) = X25519HkdfSha256::derive_keypair(&[5; 32]);
        let config = [
            &[0, 41, 77, 0x00, 0x20][..],
            &public.to_bytes(),
            &[0, 4, 0x00, 0x01, 0x00, 0x01],
        ]
        .concat();
        let config = EncodedKeyConfig::parse(&config).unwrap();
        // DeriveKeyPair of the same input: our gateway would publish the very same bytes.
        assert_eq!(
            GatewayKeys::new([5; 32], 77).unwrap().encoded_config(),
            &config
        );
        let (sealed, context) = encapsulate(&config, &request(b"hello")).unwrap();
        let opened = open(&key, &sealed);
        assert!(InnerRequest::from_bhttp(&opened.request).unwrap() == request(b"hello"));
        let reply = opened.seal([9; 16], &response(b"there").to_bhttp().unwrap());
        assert!(context.open(&reply).unwrap() == response(b"there"));
    }
}
