// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "../lib/Payload.sol";

/// @notice What a person authenticated as, and where: the identity signer's word about a session key.
struct Attestation {
    address approvedSigner;
    bytes4 identityType;
    bytes32 issuerHash;
    bytes32 audienceHash;
    bytes applicationData;
    AuthData authData;
}

/// @notice Where the sign-in was sent back to, and when it was (Unix seconds).
struct AuthData {
    string redirectUrl;
    uint64 issuedAt;
}

/// @notice How much of a limit has been used: an absolute total.
struct UsageLimit {
    bytes32 usageHash;
    uint256 usageAmount;
}

/// @title ISignalsImplicitMode
/// @notice A contract that decides for itself which implicit sessions may call it.
interface ISignalsImplicitMode {
    /// @notice Answers with the magic value of `wallet` and `attestation` if the call is welcome.
    function acceptImplicitRequest(address wallet, Attestation calldata attestation, Payload.Call calldata call)
        external
        view
        returns (bytes32 magic);
}
