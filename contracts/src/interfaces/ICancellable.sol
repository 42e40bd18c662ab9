// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @notice A recovery contract, as the checkpointer knows it.
interface ICancellable {
    /// @notice Voids all that `signer` has queued for `wallet`.
    function cancelRecovery(address wallet, address signer, bytes calldata signature) external;
}
