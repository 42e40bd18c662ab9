//! Attempts at secrets are counted where neither the enclave nor its host can take them back.

use keyfold_holder_service::AttemptLimit;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AttemptKind, AttemptReserve, Empty, path};
use keyfold_protocol::ids::Digest32;

use crate::world::{Answer, Enclave, World, code};

const SMALL: AttemptLimit = AttemptLimit {
    per_hour: 3,
    per_day: 5,
};

async fn world() -> World {
    World::with(|config| {
        config.attempts.password = SMALL;
        config.attempts.totp = SMALL;
    })
    .await
}

fn of(project: &str, kind: AttemptKind, subject: u8) -> AttemptReserve {
    AttemptReserve {
        project: project.parse().unwrap(),
        kind,
        subject: Digest32::from_bytes([subject; 32]),
    }
}

async fn password(world: &World, subject: u8) -> Answer<Empty> {
    let attempt = of("app.example", AttemptKind::Password, subject);
    world.call(path::ATTEMPT_RESERVE, &attempt).await
}

#[tokio::test]
async fn attempts_are_limited_by_the_hour_and_by_the_day() {
    let world = world().await;
    for _ in 0..3 {
        password(&world, 1).await.unwrap();
    }
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
    world.advance_far(3_600).await;
    for _ in 0..2 {
        password(&world, 1).await.unwrap();
    }
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
    world.advance_far(86_399 - 3_600).await;
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
    world.advance_far(1).await;
    // Housekeeping forgets nothing that still counts.
    world.holder.purge().await.unwrap();
    for _ in 0..3 {
        password(&world, 1).await.unwrap();
    }
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
}

#[tokio::test]
async fn a_strangers_attempts_leave_the_owner_theirs() {
    let world = world().await;
    for _ in 0..3 {
        password(&world, 1).await.unwrap();
    }
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
    // The same person from a device that the account knows, another secret, another project.
    password(&world, 2).await.unwrap();
    for other in [
        of("app.example", AttemptKind::Totp, 1),
        of("app.example", AttemptKind::RecoveryCode, 1),
        of("other.example", AttemptKind::Password, 1),
    ] {
        let answer: Answer<Empty> = world.call(path::ATTEMPT_RESERVE, &other).await;
        assert!(answer.is_ok(), "{other:?}");
    }
}

#[tokio::test]
async fn of_many_attempts_at_once_no_more_than_the_limit_pass() {
    let world = world().await;
    let answers = futures_util::future::join_all((0..40).map(|_| password(&world, 1))).await;
    let passed = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(passed, 3);
    let refused = answers.into_iter().filter_map(Result::err);
    assert!(
        refused
            .into_iter()
            .all(|refused| refused.code == Code::AttemptLimit)
    );
}

#[tokio::test]
async fn neither_a_restart_nor_another_instance_gives_attempts_back() {
    let mut world = world().await;
    for _ in 0..3 {
        password(&world, 1).await.unwrap();
    }
    world.restart().await;
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
    world.enclave = Enclave::new(Some(world.realm_id()));
    world.register(&world.enclave).await.unwrap();
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
    // Nor does a clock that is set back.
    world.set_ms(crate::world::START_MS - 86_400_000);
    world.register(&world.enclave).await.unwrap();
    assert_eq!(code(password(&world, 1).await), Code::AttemptLimit);
}

#[tokio::test]
async fn a_token_counts_once_in_a_day_whatever_the_operator_allows_guesses() {
    let mut world = World::with(|config| {
        let many = AttemptLimit {
            per_hour: 100,
            per_day: 100,
        };
        config.attempts.password = many;
        config.attempts.totp = many;
        config.attempts.recovery_code = many;
    })
    .await;
    let token = of("app.example", AttemptKind::Token, 1);
    let use_up =
        async |world: &World| -> Answer<Empty> { world.call(path::ATTEMPT_RESERVE, &token).await };
    let answers = futures_util::future::join_all((0..8).map(|_| use_up(&world))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    world.restart().await;
    world.advance_far(86_399).await;
    assert_eq!(code(use_up(&world).await), Code::AttemptLimit);
    world.advance_far(1).await;
    assert!(use_up(&world).await.is_ok());
}
