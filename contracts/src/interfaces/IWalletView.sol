// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "../lib/Payload.sol";

/// @title IWalletView
/// @notice What extensions ask a wallet about its configuration.
interface IWalletView {
    /// @notice Recovers what a signature shows, without judging its weight.
    function recoverPartialSignature(Payload.Decoded calldata payload, bytes calldata signature)
        external
        view
        returns (
            uint256 threshold,
            uint256 weight,
            bool isValidImage,
            bytes32 imageHash,
            uint256 checkpoint,
            bytes32 opHash
        );
}
