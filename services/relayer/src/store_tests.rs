//! The table that makes "once" true, without a chain.
