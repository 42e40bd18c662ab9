// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title IDelegatedExtension
/// @notice Code that a wallet runs as its own, when a payload asks for a delegate call.
interface IDelegatedExtension {
    /// @notice Runs inside the wallet.
    /// @param opHash Hash of the payload.
    /// @param startingGas Gas left when the payload's first call began.
    /// @param index Position of this call.
    /// @param numCalls Number of calls in the payload.
    /// @param space Nonce space of the payload.
    /// @param data The call's data.
    function handleSequenceDelegateCall(
        bytes32 opHash,
        uint256 startingGas,
        uint256 index,
        uint256 numCalls,
        uint256 space,
        bytes calldata data
    ) external;
}
