//! The codes of what the client finds out by itself; all others come from somebody who answered.

macro_rules! codes {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A stable code of the client's own. A code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ClientCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ClientCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the code as it is shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns what it means: one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    GatewayUnreachable "gateway_unreachable" "The gateway does not answer, or the connection broke.";
    GatewayUnverified "gateway_unverified" "The gateway showed another TLS key or certificate than the one that was expected.";
    UnexpectedReply "unexpected_reply" "An answer is not of the shape that the protocol says.";
    RealmUnverified "realm_unverified" "The gateway's realm record is not the pinned realm's.";
    RootMismatch "root_mismatch" "The realm names another root of attestation documents than is pinned.";
    NoInstance "no_instance" "The gateway knows no running enclave.";
    InstanceUnverified "instance_unverified" "An enclave's attestation document or keys were refused.";
    ReplyUnverified "reply_unverified" "A reply was not sealed by the verified enclave.";
    SignInGone "sign_in_gone" "The enclave that sent the code is gone, and the code with it.";
    SessionEnded "session_ended" "The session has ended.";
    SessionForeign "session_foreign" "The session is another realm's or another device's.";
    AccountChanged "account_changed" "This device signed in to another account with the same address before.";
    WalletChanged "wallet_changed" "A label names another wallet than this device was told before.";
    WalletUnverified "wallet_unverified" "A wallet's address, configuration or guard is not what it should be.";
    ConfigUnverified "config_unverified" "A wallet's configurations, or a tree of the public store, are not what they should be.";
    SignatureUnverified "signature_unverified" "A signature is not the wallet's over what was asked.";
    CredentialFailed "credential_failed" "The device's key did not sign.";
    NoRandomness "no_randomness" "The system's random generator failed.";
    RelayerConfused "relayer_confused" "The relayer answered about another transaction.";
    TransactionUnconfirmed "transaction_unconfirmed" "The transaction was handed over, or may have been, and nobody says what became of it.";
    TransactionReverted "transaction_reverted" "The transaction is in a block and reverted.";
    TransactionLost "transaction_lost" "The relayer could not bring the transaction to the chain, or lost sight of it.";
    TransactionPending "transaction_pending" "The transaction was sent and is in no block yet.";
}
