use proptest::{collection::vec, option, prelude::*};

use super::*;

/// One field of any kind: a value together with its type.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    U8(u8),
    U32(u32),
    U64(u64),
    Bool(bool),
    Fixed([u8; 4]),
    Bytes(Vec<u8>),
    Str(String),
    Opt(Option<Vec<u8>>),
    List(Vec<u32>),
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<u8>().prop_map(Field::U8),
        any::<u32>().prop_map(Field::U32),
        any::<u64>().prop_map(Field::U64),
        any::<bool>().prop_map(Field::Bool),
        any::<[u8; 4]>().prop_map(Field::Fixed),
        vec(any::<u8>(), 0..6).prop_map(Field::Bytes),
        "[ab:]{0,4}".prop_map(Field::Str),
        option::of(vec(any::<u8>(), 0..4)).prop_map(Field::Opt),
        vec(any::<u32>(), 0..3).prop_map(Field::List),
    ]
}

fn encode(fields: &[Field]) -> Vec<u8> {
    let mut encoder = Encoder::new("keyfold/test/v1");
    for field in fields {
        match field {
            Field::U8(value) => encoder.u8(*value),
            Field::U32(value) => encoder.u32(*value),
            Field::U64(value) => encoder.u64(*value),
            Field::Bool(value) => encoder.bool(*value),
            Field::Fixed(value) => encoder.fixed(value),
            Field::Bytes(value) => encoder.bytes(value),
            Field::Str(value) => encoder.str(value),
            Field::Opt(value) => encoder.opt_bytes(value.as_deref()),
            Field::List(values) => values
                .iter()
                .fold(encoder.list(values.len()), |encoder, value| {
                    encoder.u32(*value)
                }),
        };
    }
    encoder.finish()
}

/// Takes an encoding apart again, given the types of the fields alone.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.u32() as usize;
        self.take(len)
    }

    fn field(&mut self, like: &Field) -> Field {
        match like {
            Field::U8(_) => Field::U8(self.array::<1>()[0]),
            Field::U32(_) => Field::U32(self.u32()),
            Field::U64(_) => Field::U64(u64::from_be_bytes(self.array())),
            Field::Bool(_) => Field::Bool(self.array::<1>()[0] == 1),
            Field::Fixed(_) => Field::Fixed(self.array()),
            Field::Bytes(_) => Field::Bytes(self.bytes()),
            Field::Str(_) => Field::Str(String::from_utf8(self.bytes()).unwrap()),
            Field::Opt(_) => {
                let present = self.array::<1>()[0] == 1;
                Field::Opt(present.then(|| self.bytes()))
            }
            Field::List(_) => {
                let len = self.u32();
                Field::List((0..len).map(|_| self.u32()).collect())
            }
        }
    }
}

proptest! {
    /// Injective: from the bytes and the types, the values come back, and nothing is left.
    #[test]
    fn values_can_be_read_back(fields in vec(field(), 0..8)) {
        let bytes = encode(&fields);
        let mut reader = Reader(&bytes);
        let label_len = usize::from(reader.array::<1>()[0]);
        prop_assert_eq!(reader.take(label_len), b"keyfold/test/v1");
        for field in &fields {
            prop_assert_eq!(&reader.field(field), field);
        }
        prop_assert!(reader.0.is_empty());
    }

    /// Two rows of strings encode alike only if they are alike; joined with ":" they would not.
    #[test]
    fn strings_do_not_flow_into_each_other(
        a in vec("[a:]{0,3}", 0..4),
        b in vec("[a:]{0,3}", 0..4),
    ) {
        let encode = |items: &[String]| {
            let mut encoder = Encoder::new("keyfold/test/v1");
            encoder.list(items.len());
            for item in items {
                encoder.str(item);
            }
            encoder.finish()
        };
        prop_assert_eq!(encode(&a) == encode(&b), a == b);
    }
}

#[test]
fn bytes_of_every_kind_of_field() {
    let bytes = Encoder::new("L")
        .u8(1)
        .u32(2)
        .u64(3)
        .bool(true)
        .fixed(&[9, 9])
        .bytes(b"xy")
        .str("é")
        .opt_bytes(None)
        .opt_bytes(Some(b""))
        .list(2)
        .finish();
    assert_eq!(
        hex::encode(bytes),
        "014c01000000020000000000000003010909000000027879\
         00000002c3a900010000000000000002"
    );
}

#[test]
fn labels_separate_types() {
    assert_ne!(
        Encoder::new("ab").str("").sha256(),
        Encoder::new("a").str("").sha256()
    );
    // A label's end cannot be moved into the fields.
    assert_ne!(
        Encoder::new("ab").finish(),
        Encoder::new("a").u8(b'b').finish()
    );
}

#[test]
fn nested_values_carry_their_label() {
    struct Inner(u8);
    impl Canonical for Inner {
        const LABEL: &'static str = "inner";
        fn encode(&self, encoder: &mut Encoder) {
            encoder.u8(self.0);
        }
    }
    let nested = Encoder::new("o").nested(&Inner(7)).finish();
    assert_eq!(nested, b"\x01o\x00\x00\x00\x07\x05inner\x07");
    assert_eq!(Inner(7).digest(), sha256(&Inner(7).to_signed_bytes()));
}

#[test]
fn lengths_that_do_not_fit_are_escaped_and_not_truncated() {
    let bytes = |len| Encoder::new("").list(len).finish();
    assert_eq!(hex::encode(bytes(0xffff_fffe)), "00fffffffe");
    assert_eq!(
        hex::encode(bytes(0xffff_ffff)),
        "00ffffffff00000000ffffffff"
    );
    assert_eq!(
        hex::encode(bytes(0x1_0000_0000)),
        "00ffffffff0000000100000000"
    );
    let label: &'static str = Box::leak("x".repeat(255).into_boxed_str());
    assert_eq!(Encoder::new(label).finish()[..6], *b"\xff\x00\x00\x00\xffx");
}
