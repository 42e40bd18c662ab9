//! The holder's tables: SQL and nothing else.
//!
//! Every function takes the connection of the transaction it is part of; what it changes is
//! durable when the [`Ledger`](crate::ledger::Ledger) returns. A statement about one row that
//! changes none or several is an error.

pub(crate) mod anchors;
pub(crate) mod attempts;
pub(crate) mod devices;
pub(crate) mod identities;
pub(crate) mod keys;
pub(crate) mod mail;
pub(crate) mod maintenance;
pub(crate) mod realm;
pub(crate) mod revocations;
pub(crate) mod sealing;
pub(crate) mod sessions;
pub(crate) mod slots;

use keyfold_storage::{LOG_SCHEMA, Migration};

/// The holder's schema, oldest first. Released ones never change.
pub(crate) const MIGRATIONS: &[Migration] = &[
    LOG_SCHEMA,
    Migration {
        name: "holder",
        sql: include_str!("schema.sql"),
    },
    Migration {
        name: "revocations",
        sql: include_str!("revocations.sql"),
    },
    Migration {
        name: "identities and attempts",
        sql: include_str!("identities.sql"),
    },
];
