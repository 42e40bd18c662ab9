//! One document in every spelling that CBOR allows: lengths said beforehand, or ends marked.

use keyfold_attest::{CborError, VerifyError::*, danger};
use keyfold_platform_dev::issuer::{Certified, cbor};
use proptest::prelude::*;

use crate::world::World;

/// Writes each item in one of its two forms, as the next of the drawn bits says.
struct Writer<'a> {
    bits: std::iter::Cycle<std::slice::Iter<'a, bool>>,
}

impl<'a> Writer<'a> {
    fn new(bits: &'a [bool]) -> Self {
        Self {
            bits: bits.iter().cycle(),
        }
    }

    fn flip(&mut self) -> bool {
        self.bits.next().copied().unwrap_or_default()
    }

    fn container(&mut self, major: u8, count: usize, items: Vec<u8>) -> Vec<u8> {
        if self.flip() {
            [vec![major << 5 | 31], items, vec![0xff]].concat()
        } else {
            [cbor::head(major, count as u64), items].concat()
        }
    }

    fn array(&mut self, items: &[Vec<u8>]) -> Vec<u8> {
        self.container(4, items.len(), items.concat())
    }

    fn map(&mut self, entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let items: Vec<u8> = entries
            .iter()
            .flat_map(|(key, value)| [key.as_slice(), value].concat())
            .collect();
        self.container(5, entries.len(), items)
    }

    fn string(&mut self, major: u8, content: &[u8]) -> Vec<u8> {
        let chunk = |part: &[u8]| [cbor::head(major, part.len() as u64), part.to_vec()].concat();
        if !self.flip() {
            return chunk(content);
        }
        // Sometimes one chunk or an empty one among them.
        let parts = content.chunks(if self.flip() { 7 } else { 300 });
        let mut out = vec![major << 5 | 31];
        for part in parts {
            out.extend(chunk(part));
        }
        if self.flip() {
            out.extend(chunk(b""));
        }
        out.push(0xff);
        out
    }

    fn bytes(&mut self, content: &[u8]) -> Vec<u8> {
        self.string(2, content)
    }

    fn text(&mut self, content: &str) -> Vec<u8> {
        self.string(3, content.as_bytes())
    }

    fn payload(&mut self, world: &World, certified: &Certified) -> Vec<u8> {
        let request = world.request();
        let pcrs: Vec<_> = request
            .pcrs
            .iter()
            .map(|(index, pcr)| (cbor::unsigned(u64::from(*index)), self.bytes(pcr)))
            .collect();
        let bundle: Vec<_> = certified.bundle.iter().map(|der| self.bytes(der)).collect();
        let values = [
            ("module_id", self.text(&request.module_id)),
            ("digest", self.text("SHA384")),
            ("timestamp", cbor::unsigned(request.timestamp_ms)),
            ("pcrs", self.map(&pcrs)),
            ("certificate", self.bytes(&certified.certificate)),
            ("cabundle", self.array(&bundle)),
            ("public_key", self.bytes(&request.public_key.unwrap())),
            ("user_data", self.bytes(&request.user_data.unwrap())),
            ("nonce", self.bytes(&request.nonce.unwrap())),
        ];
        let entries: Vec<_> = values
            .into_iter()
            .map(|(key, value)| (self.text(key), value))
            .collect();
        self.map(&entries)
    }

    /// Spells the envelope anew; what is signed stays as it is.
    fn envelope(&mut self, payload: &[u8], protected: &[u8], signature: &[u8]) -> Vec<u8> {
        let items = [
            self.bytes(protected),
            self.map(&[]),
            self.bytes(payload),
            self.bytes(signature),
        ];
        let array = self.array(&items);
        match self.flip() {
            true => [cbor::head(6, 18), array].concat(),
            false => array,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_document_is_accepted_in_every_spelling_and_says_the_same(
        bits in prop::collection::vec(any::<bool>(), 1..96),
    ) {
        let mut world = World::new();
        let plain = world.sound();
        let certified = world.issuer.draft(&world.request()).certify(&mut world.rng).unwrap();
        let mut writer = Writer::new(&bits);
        let payload = writer.payload(&world, &certified);
        let sealed = certified.seal_payload(&payload);
        let signature = &sealed[sealed.len() - 96..];
        let document = writer.envelope(&payload, &certified.protected, signature);
        let verified = world.verify(&document);
        prop_assert!(verified.is_ok(), "{verified:?}");
        let (verified, plain) = (verified.unwrap(), world.verify(&plain).unwrap());
        prop_assert_eq!(verified.module_id(), plain.module_id());
        prop_assert_eq!(verified.timestamp_ms(), plain.timestamp_ms());
        prop_assert_eq!(verified.pcrs(), plain.pcrs());
        prop_assert_eq!(verified.public_key(), plain.public_key());
        prop_assert_eq!(verified.user_data(), plain.user_data());
        prop_assert_eq!(verified.nonce(), plain.nonce());
        let shown = danger::inspect(&document).unwrap();
        prop_assert_eq!(shown.cabundle(), certified.bundle.as_slice());
        prop_assert_eq!(shown.certificate(), certified.certificate.as_slice());
    }

    #[test]
    fn a_payload_spelled_anew_after_signing_is_refused(
        bits in prop::collection::vec(any::<bool>(), 1..96),
    ) {
        let mut world = World::new();
        let certified = world.issuer.draft(&world.request()).certify(&mut world.rng).unwrap();
        let mut writer = Writer::new(&bits);
        let payload = writer.payload(&world, &certified);
        let sealed = certified.seal();
        let document =
            writer.envelope(&payload, &certified.protected, &sealed[sealed.len() - 96..]);
        let expected = if payload == certified.payload() { None } else { Some(Signature) };
        prop_assert_eq!(world.verify(&document).err(), expected);
    }
}

#[test]
fn an_end_that_is_missing_misplaced_or_too_many_is_refused() {
    let mut world = World::new();
    let certified = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap();
    let payload = certified.payload();
    assert_eq!((payload[0], payload.last()), (0xbf, Some(&0xff)));
    let body = &payload[1..payload.len() - 1];
    let refusal = |payload: &[u8]| world.refusal(&certified.seal_payload(payload));
    assert_eq!(
        refusal(&payload[..payload.len() - 1]),
        Cbor(CborError::Truncated)
    );
    // Between a key and its value.
    let key = cbor::text("nonce");
    let at = body.windows(key.len()).position(|w| w == key).unwrap();
    let between = [&[0xbf], &body[..at], &key, &[0xff]].concat();
    assert_eq!(refusal(&between), Cbor(CborError::UnexpectedType));
    let twice = [&payload[..], &[0xff]].concat();
    assert_eq!(refusal(&twice), Cbor(CborError::TrailingBytes));
    // A map that said how long it is has no end to mark.
    let definite = [&[0xa9], body, &[0xff]].concat();
    assert_eq!(refusal(&definite), Cbor(CborError::TrailingBytes));
    assert!(
        world
            .verify(&certified.seal_payload(&definite[..definite.len() - 1]))
            .is_ok()
    );
    let too_few = [&[0xa8], body].concat();
    assert_eq!(refusal(&too_few), Cbor(CborError::TrailingBytes));
    let too_many = [&[0xaa], body].concat();
    assert_eq!(refusal(&too_many), Cbor(CborError::Truncated));
}
