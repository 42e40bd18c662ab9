//! Sign-in by every method, each against a counterpart that is not ours, in one running system; and
//! what the host and the holders saw of it all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

#[macro_use]
mod common;
#[path = "counterparts/app.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod app;
#[path = "methods/app_server.rs"]
mod app_server;
#[path = "methods/factors.rs"]
mod factors;
#[path = "methods/mail.rs"]
mod mail;
#[path = "methods/passkeys.rs"]
mod passkeys;
#[path = "methods/providers.rs"]
mod providers;
#[path = "methods/record.rs"]
mod record;
#[path = "methods/tokens.rs"]
mod tokens;
#[path = "methods/wallets.rs"]
mod wallets;
#[path = "methods/world.rs"]
mod world;

use app_server::*;
use common::Cases;
use factors::*;
use mail::*;
use passkeys::*;
use providers::*;
use record::nothing_of_it_all_is_in_the_clear;
use tokens::*;
use wallets::*;
use world::{World, now};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_signs_in_and_the_host_learns_nothing() {
    let world = Box::pin(World::start()).await;
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_mailed_code_signs_in_its_device_at_its_app_once,
            a_password_signs_in_and_a_wrong_one_does_not,
            passwords_are_guessed_so_often_and_a_restart_gives_no_more,
            a_provider_found_by_discovery_signs_in,
            a_linked_provider_signs_in_and_anothers_cannot_be_linked,
            a_callback_is_of_one_sign_in_device_and_app,
            a_provider_that_misbehaves_signs_nobody_in,
            a_provider_that_sends_too_much_has_failed,
            google_x_discord_and_apple_sign_in,
            a_secret_that_the_provider_does_not_know_signs_nobody_in,
            keys_that_rotate_in_the_middle_of_a_sign_in_do_not_stop_it,
            a_token_of_the_apps_own_issuer_signs_in_who_committed_to_it,
            an_ethereum_wallet_signs_in,
            a_contract_wallet_signs_in_before_it_is_deployed_and_after,
            a_solana_wallet_signs_in,
            a_farcaster_account_signs_in_whom_the_registries_name,
            a_new_passkey_makes_an_account_and_lets_a_second_device_in_at_once,
            a_passkey_signs_for_one_challenge_device_app_and_page,
            a_linked_passkey_lets_devices_in_and_steps_up,
            an_app_of_codes_steps_up_and_a_code_on_paper_once,
            jose_verifies_an_id_token_under_the_gateways_keys,
            standardwebhooks_verifies_what_the_enclave_sent,
            nothing_of_it_all_is_in_the_clear,
        ]
    );
    let World {
        system,
        idp,
        huge,
        own,
        companies,
        wallets,
        browser,
        ..
    } = world;
    let companies = companies.into_iter().map(|(_, company)| company);
    for provider in [idp, huge, own].into_iter().chain(companies) {
        provider.stop().await;
    }
    wallets.stop().await;
    browser.stop().await;
    cases.end(system).await;
}

fn rng() -> getrandom::rand_core::UnwrapErr<getrandom::SysRng> {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}
