use std::collections::{HashMap, HashSet};

use keyfold_crypto::testing::SeededRng;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const APP: &str = "app.example";
const PHONE: [u8; 32] = [1; 32];
const LAPTOP: [u8; 32] = [2; 32];

fn anna() -> EmailAddress {
    EmailAddress::parse("anna@mail.example").unwrap()
}

fn email(n: usize) -> EmailAddress {
    EmailAddress::parse(&format!("user{n}@mail.example")).unwrap()
}

fn device(n: usize) -> [u8; 32] {
    let mut device = [0xd0; 32];
    device[..8].copy_from_slice(&(n as u64).to_be_bytes());
    device
}

fn wrong(code: &OneTimeCode) -> OneTimeCode {
    let digits = code.expose(|digits| digits.parse::<u32>().unwrap());
    OneTimeCode::parse(&format!("{:08}", (digits + 1) % 100_000_000)).unwrap()
}

/// A store, its randomness, and short names for what the tests do with it.
struct Desk {
    store: PendingSignIns,
    rng: SeededRng,
}

impl Desk {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            store: PendingSignIns::new(limits),
            rng: SeededRng::new(7),
        }
    }

    fn start(
        &mut self,
        email: &EmailAddress,
        device: [u8; 32],
        now: u64,
    ) -> Result<(SignInId, OneTimeCode), StartError> {
        let (store, rng) = (&mut self.store, &mut self.rng);
        store.start(Starter::Stranger, APP, email, device, now, rng)
    }

    /// As a device that the address's account knows.
    fn start_known(
        &mut self,
        email: &EmailAddress,
        device: [u8; 32],
        now: u64,
    ) -> Result<(SignInId, OneTimeCode), StartError> {
        let (store, rng) = (&mut self.store, &mut self.rng);
        store.start(Starter::Known, APP, email, device, now, rng)
    }

    fn finish(
        &mut self,
        id: &SignInId,
        device: [u8; 32],
        code: &OneTimeCode,
        now: u64,
    ) -> Result<ProvenEmail, FinishError> {
        self.store.finish(id, APP, &device, code, now)
    }

    fn assert_consistent(&self) {
        assert_table_is_consistent(&self.store.strangers, ADDRESS_SLOTS);
        assert_table_is_consistent(&self.store.known, DEVICE_SLOTS);
    }
}

fn assert_table_is_consistent(store: &Table, slots: usize) {
    assert_eq!(store.ends.len(), store.sign_ins.len());
    assert!(store.by_id.len() <= store.sign_ins.len());
    assert_eq!(
        store.by_project.values().sum::<usize>(),
        store.sign_ins.len()
    );
    assert_eq!(
        store.by_device.values().sum::<usize>(),
        store.sign_ins.len()
    );
    assert_eq!(store.slots.len(), store.slot_ends.len());
    assert_eq!(
        store.slots_by_project.values().sum::<usize>(),
        store.slots.len()
    );
    let taken = || store.slots.values().map(|slots| &slots.taken);
    assert!(taken().all(|taken| (1..=slots).contains(&taken.len())));
    assert!(taken().all(|taken| taken.is_sorted()));
}

#[test]
fn the_right_code_proves_the_address_for_the_project_and_device_it_was_made_for() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    let proven = desk.finish(&id, PHONE, &code, NOW + 1).unwrap();
    assert_eq!(proven.project(), APP);
    assert_eq!(proven.email(), &anna());
    assert_eq!(proven.device(), &PHONE);
    assert_eq!(proven.proven_at_unix_seconds(), NOW + 1);
    assert!(desk.store.is_empty());
    desk.assert_consistent();
}

#[test]
fn a_code_works_once() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());
    assert_eq!(
        desk.finish(&id, PHONE, &code, NOW),
        Err(FinishError::Unknown)
    );
}

#[test]
fn a_code_works_for_ten_minutes_and_not_a_second_longer() {
    for (age, works) in [(599, true), (600, false), (u64::MAX - NOW, false)] {
        let mut desk = Desk::new();
        let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
        let result = desk.finish(&id, PHONE, &code, NOW + age);
        assert_eq!(result.is_ok(), works, "{age}");
        assert!(desk.store.is_empty());
    }
}

#[test]
fn the_third_wrong_code_ends_the_sign_in_even_for_the_right_one() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for attempts_left in [2, 1, 0] {
        assert_eq!(
            desk.finish(&id, PHONE, &wrong(&code), NOW),
            Err(FinishError::WrongCode { attempts_left })
        );
    }
    assert_eq!(
        desk.finish(&id, PHONE, &code, NOW),
        Err(FinishError::Unknown)
    );
    // Not even the digits are kept.
    assert!(
        desk.store
            .strangers
            .sign_ins
            .values()
            .all(|sign_in| sign_in.code.is_none())
    );
    desk.assert_consistent();
}

#[test]
fn the_third_attempt_may_be_the_right_one() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for _ in 0..2 {
        desk.finish(&id, PHONE, &wrong(&code), NOW).unwrap_err();
    }
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());
}

#[test]
fn another_device_cannot_finish_a_sign_in_nor_spend_its_attempts() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for _ in 0..10 {
        assert_eq!(
            desk.finish(&id, LAPTOP, &code, NOW),
            Err(FinishError::Unknown)
        );
        assert_eq!(
            desk.finish(&id, LAPTOP, &wrong(&code), NOW),
            Err(FinishError::Unknown)
        );
    }
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());
}

#[test]
fn another_project_cannot_finish_a_sign_in_nor_spend_its_attempts() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for project in ["other.example", "", "app.exampl", "app.example "] {
        for _ in 0..4 {
            let result = desk.store.finish(&id, project, &PHONE, &code, NOW);
            assert_eq!(result, Err(FinishError::Unknown));
        }
    }
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());
}

#[test]
fn a_code_of_another_address_or_sign_in_is_a_wrong_code() {
    let mut desk = Desk::new();
    let (id, _) = desk.start(&anna(), PHONE, NOW).unwrap();
    let (other_id, other_code) = desk.start(&email(1), PHONE, NOW).unwrap();
    assert_eq!(
        desk.finish(&id, PHONE, &other_code, NOW),
        Err(FinishError::WrongCode { attempts_left: 2 })
    );
    assert_eq!(
        desk.finish(&SignInId::from_bytes([0; 16]), PHONE, &other_code, NOW),
        Err(FinishError::Unknown)
    );
    assert_eq!(
        desk.finish(&other_id, PHONE, &other_code, NOW)
            .unwrap()
            .email(),
        &email(1)
    );
}

#[test]
fn starting_again_replaces_the_code_and_gives_no_attempt_back() {
    let mut desk = Desk::new();
    let (first, first_code) = desk.start(&anna(), PHONE, NOW).unwrap();
    desk.finish(&first, PHONE, &wrong(&first_code), NOW)
        .unwrap_err();
    let (second, second_code) = desk.start(&anna(), PHONE, NOW + 60).unwrap();
    assert_ne!(first, second);
    assert_eq!(
        desk.finish(&first, PHONE, &first_code, NOW + 60),
        Err(FinishError::Unknown)
    );
    assert_eq!(
        desk.finish(&second, PHONE, &first_code, NOW + 60),
        Err(FinishError::WrongCode { attempts_left: 1 })
    );
    // The new code has its own ten minutes, the attempts have not.
    assert!(desk.finish(&second, PHONE, &second_code, NOW + 659).is_ok());
    assert_eq!(desk.store.len(), 0);
}

#[test]
fn a_device_that_used_its_attempts_waits_until_its_codes_are_over() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for _ in 0..3 {
        desk.finish(&id, PHONE, &wrong(&code), NOW).unwrap_err();
    }
    let refused = StartError::DeviceExhausted {
        retry_at_unix_seconds: NOW + 600,
    };
    for later in [0, 300, 599] {
        // Asking does not make the wait longer.
        assert_eq!(
            desk.start(&anna(), PHONE, NOW + later).unwrap_err(),
            refused
        );
    }
    assert!(desk.start(&anna(), PHONE, NOW + 600).is_ok());
}

#[test]
fn starting_again_and_again_does_not_flood_the_mailbox() {
    let mut desk = Desk::new();
    let mut last = None;
    for _ in 0..MAX_CODES {
        last = Some(desk.start(&anna(), PHONE, NOW).unwrap());
    }
    assert!(matches!(
        desk.start(&anna(), PHONE, NOW),
        Err(StartError::DeviceExhausted { .. })
    ));
    // And the last code that was mailed still works.
    let (id, code) = last.unwrap();
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());
}

#[test]
fn any_number_of_devices_gets_fifteen_guesses_an_hour() {
    let mut desk = Desk::new();
    let mut guesses = 0;
    for n in 0..50 {
        let Ok((id, code)) = desk.start(&anna(), device(n), NOW + n as u64) else {
            continue;
        };
        while !matches!(
            desk.finish(&id, device(n), &wrong(&code), NOW + n as u64),
            Err(FinishError::Unknown)
        ) {
            guesses += 1;
        }
    }
    assert_eq!(guesses, 15);
    assert_eq!(
        desk.start(&anna(), device(99), NOW + 3_599).unwrap_err(),
        StartError::AddressLimit {
            retry_at_unix_seconds: NOW + 3_600
        }
    );
    // One by one the slots come back: the second was taken a second after the first.
    assert!(desk.start(&anna(), device(99), NOW + 3_600).is_ok());
    assert!(desk.start(&anna(), device(98), NOW + 3_600).is_err());
    assert!(desk.start(&anna(), device(98), NOW + 3_601).is_ok());
    desk.assert_consistent();
}

#[test]
fn a_stranger_who_takes_every_slot_cannot_end_a_sign_in_that_has_begun() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    desk.finish(&id, PHONE, &wrong(&code), NOW).unwrap_err();
    for n in 0..100 {
        if let Ok((foreign, foreign_code)) = desk.start(&anna(), device(n), NOW) {
            for _ in 0..4 {
                let _ = desk.finish(&foreign, device(n), &wrong(&foreign_code), NOW);
            }
        }
        let _ = desk.finish(&id, device(n), &wrong(&code), NOW);
    }
    // The owner may even ask for the code once more, and has the attempts left that were left.
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    assert_eq!(
        desk.finish(&id, PHONE, &wrong(&code), NOW),
        Err(FinishError::WrongCode { attempts_left: 1 })
    );
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());
}

const SMALL: Limits = Limits {
    total: 50,
    per_device: 4,
    addresses: 60,
};

#[test]
fn a_flood_is_refused_and_pushes_nobody_out() {
    let mut desk = Desk::with(SMALL);
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for n in 0..1_000 {
        let result = desk.start(&email(n), device(n), NOW);
        assert_eq!(result.is_ok(), n < 9, "{n}");
    }
    // Each other project still has room, and all together no more than there is.
    let mut elsewhere = Vec::new();
    for project in 0..60 {
        let begun = (0..100).filter(|n| {
            let (name, n) = (format!("{project}.example"), 100 * project + n);
            let (store, rng) = (&mut desk.store, &mut desk.rng);
            let stranger = Starter::Stranger;
            let result = store.start(stranger, &name, &email(n), device(n), NOW, rng);
            result.is_ok()
        });
        elsewhere.push(begun.count());
    }
    assert_eq!(elsewhere[..4], [8, 7, 5, 4]);
    assert_eq!(elsewhere.iter().sum::<usize>(), 40);
    assert_eq!(desk.store.len(), 50);
    desk.assert_consistent();
    assert!(desk.finish(&id, PHONE, &code, NOW).is_ok());

    // Addresses are remembered longer than sign-ins, and bounded and shared too.
    let mut begun = 0;
    for n in 0..1_000 {
        let result = desk.start(&email(10_000 + n), device(n), NOW + 600);
        begun += usize::from(result.is_ok());
    }
    assert_eq!(begun, 0, "this project's addresses are used up");
    assert_eq!(desk.store.strangers.slots.len(), 49);
    let (store, rng) = (&mut desk.store, &mut desk.rng);
    let next = store.start(
        Starter::Stranger,
        "next.example",
        &anna(),
        PHONE,
        NOW + 600,
        rng,
    );
    assert!(next.is_ok());
    desk.store.forget_old(NOW + 600 + SLOT_SECONDS);
    let table = &desk.store.strangers;
    assert!(table.slots.is_empty() && table.slots_by_project.is_empty());
    assert!(table.sign_ins.is_empty() && table.by_project.is_empty() && table.by_device.is_empty());
    desk.assert_consistent();
}

#[test]
fn strangers_who_take_every_slot_leave_a_known_device_its_own() {
    let mut desk = Desk::new();
    for n in 0..100 {
        let _ = desk.start(&anna(), device(n), NOW);
    }
    assert!(desk.start(&anna(), PHONE, NOW).is_err());
    // Another device of the account used its own up.
    for round in 0..10 {
        let _ = desk.start_known(&anna(), LAPTOP, NOW + 600 * round);
    }
    let later = NOW + 600;
    for n in 0..100 {
        let _ = desk.start(&anna(), device(1_000 + n), later);
    }
    let (id, code) = desk.start_known(&anna(), PHONE, later).unwrap();
    assert_eq!(
        desk.finish(&id, LAPTOP, &code, later),
        Err(FinishError::Unknown)
    );
    assert!(desk.finish(&id, PHONE, &code, later).is_ok());
    desk.assert_consistent();
}

#[test]
fn strangers_who_fill_the_memory_leave_known_devices_theirs() {
    let mut desk = Desk::with(SMALL);
    for n in 0..1_000 {
        let _ = desk.start(&email(n), device(n), NOW);
    }
    assert_eq!(
        desk.start(&anna(), PHONE, NOW).unwrap_err(),
        StartError::Full
    );
    assert!(desk.start_known(&anna(), PHONE, NOW).is_ok());
    // And theirs are no more than there is.
    let known = (5_000..6_000).filter(|n| {
        let started = desk.start_known(&email(*n), device(*n), NOW);
        started.is_ok()
    });
    assert_eq!(known.count(), 9);
    desk.assert_consistent();
}

#[test]
fn a_known_device_has_fifteen_guesses_an_hour_and_no_second_set_as_a_stranger() {
    let mut desk = Desk::new();
    let mut guesses = 0;
    for second in 0..3_600 {
        let now = NOW + second;
        let started = match second % 2 {
            0 => desk.start_known(&anna(), PHONE, now),
            _ => desk.start(&anna(), PHONE, now),
        };
        let Ok((id, code)) = started else {
            continue;
        };
        while desk.finish(&id, PHONE, &wrong(&code), now) != Err(FinishError::Unknown) {
            guesses += 1;
        }
    }
    // Three in ten minutes, whatever it says it is.
    assert_eq!(guesses, 18);
    let mut guesses = 0;
    for second in 0..3_600 {
        let now = NOW + 10_000 + second;
        if let Ok((id, code)) = desk.start_known(&anna(), LAPTOP, now) {
            while desk.finish(&id, LAPTOP, &wrong(&code), now) != Err(FinishError::Unknown) {
                guesses += 1;
            }
        }
    }
    assert_eq!(guesses, 15);
    desk.assert_consistent();
}

#[test]
fn what_a_stranger_began_goes_on_when_the_device_was_let_in() {
    let mut desk = Desk::new();
    let (first, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    desk.finish(&first, PHONE, &wrong(&code), NOW).unwrap_err();
    let (second, next) = desk.start_known(&anna(), PHONE, NOW).unwrap();
    assert_eq!(
        desk.finish(&first, PHONE, &code, NOW),
        Err(FinishError::Unknown)
    );
    assert_eq!(
        desk.finish(&second, PHONE, &wrong(&next), NOW),
        Err(FinishError::WrongCode { attempts_left: 1 })
    );
    assert_eq!(desk.store.len(), 1);
}

#[test]
fn one_device_begins_a_few_sign_ins_only() {
    let mut desk = Desk::new();
    for n in 0..20 {
        let result = desk.start(&email(n), PHONE, NOW).map(|_| ());
        assert_eq!(
            result,
            if n < 8 {
                Ok(())
            } else {
                Err(StartError::DeviceLimit)
            }
        );
    }
    assert!(desk.start(&email(99), LAPTOP, NOW).is_ok());
    assert!(desk.start(&email(99), PHONE, NOW + 600).is_ok());
}

#[test]
fn signing_in_often_and_rightly_is_no_flood() {
    let mut desk = Desk::new();
    for n in 0..100 {
        let (id, code) = desk.start(&anna(), device(n), NOW).unwrap();
        assert!(desk.finish(&id, device(n), &code, NOW).is_ok());
    }
    desk.assert_consistent();
}

#[test]
fn case_makes_no_second_set_of_slots() {
    let mut desk = Desk::new();
    for n in 0..ADDRESS_SLOTS {
        desk.start(&anna(), device(n), NOW).unwrap();
    }
    let shouted = EmailAddress::parse("ANNA@Mail.Example").unwrap();
    assert!(matches!(
        desk.start(&shouted, PHONE, NOW),
        Err(StartError::AddressLimit { .. })
    ));
    // Another project's users do not suffer from it.
    let stranger = Starter::Stranger;
    let (store, rng) = (&mut desk.store, &mut desk.rng);
    let elsewhere = store.start(stranger, "other.example", &anna(), PHONE, NOW, rng);
    assert!(elsewhere.is_ok());
}

#[test]
fn no_byte_moves_between_the_project_and_the_address() {
    let short = EmailAddress::parse("b@c.example").unwrap();
    let long = EmailAddress::parse("ab@c.example").unwrap();
    assert!(AddressKey::new("xa", &short) != AddressKey::new("x", &long));
}

#[test]
fn a_clock_that_goes_back_gives_nothing_back() {
    let mut desk = Desk::new();
    let (id, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    for _ in 0..3 {
        desk.finish(&id, PHONE, &wrong(&code), NOW).unwrap_err();
    }
    assert!(desk.start(&anna(), PHONE, NOW - 86_400).is_err());
    for n in 0..10 {
        let _ = desk.start(&anna(), device(n), NOW - n as u64);
    }
    assert!(desk.start(&anna(), device(99), 0).is_err());
    desk.assert_consistent();
}

#[test]
fn nothing_of_what_waits_is_printed() {
    let mut desk = Desk::new();
    let (_, code) = desk.start(&anna(), PHONE, NOW).unwrap();
    let printed = format!("{:?} {code:?}", desk.store);
    assert!(!code.expose(|digits| printed.contains(digits)));
    assert!(!printed.contains("anna"));
}

/// What a stranger and an owner may do, in any order.
#[derive(Debug, Clone)]
enum Act {
    Wait(u64),
    Start {
        known: bool,
        project: bool,
        email: usize,
        device: usize,
    },
    /// Tries the `code`-th code ever made (or a wrong one) on the `id`-th sign-in ever begun.
    Finish {
        id: prop::sample::Index,
        code: Option<prop::sample::Index>,
        project: bool,
        device: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => (0_u64..700).prop_map(Act::Wait),
        4 => (any::<bool>(), any::<bool>(), 0_usize..2, 0_usize..8)
            .prop_map(|(known, project, email, device)| {
                // Who is known is known: the first device, or not.
                Act::Start { known: known && device == 0, project, email, device }
            }),
        8 => (any::<prop::sample::Index>(), any::<Option<prop::sample::Index>>(), any::<bool>(),
              0_usize..8)
            .prop_map(|(id, code, project, device)| Act::Finish { id, code, project, device }),
    ]
}

struct Begun {
    id: SignInId,
    code: OneTimeCode,
    owner: (bool, usize, usize),
    at: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_acts_gains_a_guess(acts in proptest::collection::vec(act(), 1..150)) {
        let mut desk = Desk::new();
        let mut now = NOW;
        let mut begun: Vec<Begun> = Vec::new();
        let mut used = HashSet::new();
        // Guesses since a device's sign-in began, by project, address and device.
        let mut guesses: HashMap<(bool, usize, usize), (u64, u8)> = HashMap::new();
        // When wrong guesses were made, by project and address.
        let mut wrong_at: HashMap<(bool, usize), Vec<u64>> = HashMap::new();
        let name = |project: bool| if project { APP } else { "other.example" };

        for act in acts {
            match act {
                Act::Wait(seconds) => now += seconds,
                Act::Start { known, project, email: address, device: n } => {
                    let starter = if known { Starter::Known } else { Starter::Stranger };
                    let owner = (project, address, n);
                    let result = desk.store.start(
                        starter, name(project), &email(address), device(n), now, &mut desk.rng,
                    );
                    if let Ok((id, code)) = result {
                        let (until, count) = guesses.entry(owner).or_default();
                        if *until <= now {
                            *count = 0;
                        }
                        *until = now + CODE_SECONDS;
                        begun.push(Begun { id, code, owner, at: now });
                    }
                }
                Act::Finish { id, code, project, device: n } => {
                    if begun.is_empty() {
                        continue;
                    }
                    let target = id.index(begun.len());
                    let Begun { id, code: right, owner, at } = &begun[target];
                    let presented = match code {
                        Some(index) => begun[index.index(begun.len())].code.duplicate(),
                        None => wrong(right),
                    };
                    let matches = presented.matches(right);
                    let result = desk.store.finish(id, name(project), &device(n), &presented, now);
                    let (_, count) = guesses.entry(*owner).or_default();
                    match result {
                        Ok(proven) => {
                            // Right code, right asker, in time, the latest of its device, once.
                            prop_assert!(matches);
                            prop_assert_eq!((project, n), (owner.0, owner.2));
                            prop_assert!(now < at + CODE_SECONDS);
                            prop_assert!(begun[target + 1..].iter().all(|b| b.owner != *owner));
                            prop_assert!(used.insert(*id));
                            prop_assert_eq!(proven.email(), &email(owner.1));
                            prop_assert!(*count < MAX_ATTEMPTS);
                            *count = 0;
                        }
                        Err(FinishError::WrongCode { attempts_left }) => {
                            prop_assert!(!matches);
                            prop_assert_eq!((project, n), (owner.0, owner.2));
                            *count += 1;
                            prop_assert!(*count <= MAX_ATTEMPTS);
                            prop_assert_eq!(attempts_left, MAX_ATTEMPTS - *count);
                            wrong_at.entry((owner.0, owner.1)).or_default().push(now);
                        }
                        Err(FinishError::Unknown) => {
                            // Never said to an owner with a live code and attempts left.
                            let live = (project, n) == (owner.0, owner.2)
                                && now < at + CODE_SECONDS
                                && begun[target + 1..].iter().all(|b| b.owner != *owner)
                                && !used.contains(id)
                                && *count < MAX_ATTEMPTS;
                            prop_assert!(!live);
                        }
                    }
                }
            }
            desk.assert_consistent();
        }
        // A slot's guesses fall within half an hour of taking it, so that those of any hour belong
        // to slots of an hour and a half: twice the allowance at the very most, plus what slots
        // given back by right codes had used up.
        for times in wrong_at.values() {
            for start in times {
                let within = times.iter().filter(|t| (*start..start + SLOT_SECONDS).contains(t));
                let returned = used.len() * usize::from(MAX_ATTEMPTS - 1);
                prop_assert!(
                    within.count()
                        <= 2 * (ADDRESS_SLOTS + DEVICE_SLOTS) * usize::from(MAX_ATTEMPTS) + returned
                );
            }
        }
    }
}
