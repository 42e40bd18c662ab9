// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title ReentrancyLock
/// @notice Keeps a wallet from being entered again while it executes.
///
/// WARNING: `selfExecute` is not locked: batches inside batches come from the wallet itself. Code that
/// a wallet runs by delegate call can open the lock, as it can change anything else.
abstract contract ReentrancyLock {
    /// @notice The wallet is executing already.
    error ReentrantCall();

    /// @dev keccak256("org.sequence.module.reentrancyguard.status"), in transient storage: it costs a
    /// twentieth of a storage slot and cannot be left locked.
    bytes32 private constant STATUS = 0xfc6e07e3992c7c3694a921dc9e412b6cfe475380556756a19805a9e3ddfe2fde;

    /// @dev One entry at a time.
    modifier locked() {
        bool entered;
        assembly ("memory-safe") {
            entered := tload(STATUS)
            tstore(STATUS, 1)
        }
        if (entered) revert ReentrantCall();
        _;
        assembly ("memory-safe") {
            tstore(STATUS, 0)
        }
    }
}
