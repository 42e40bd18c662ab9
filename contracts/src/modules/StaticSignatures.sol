// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Storage} from "../lib/Storage.sol";
import {SelfAuth} from "./SelfAuth.sol";

/// @title StaticSignatures
/// @notice Approvals that the wallet keeps in storage, for payloads that no signature travels with.
///
/// WARNING: an approval holds until it expires, also after the configuration that made it was replaced.
/// What has a nonce can be used once; a message or digest as often as anybody likes.
abstract contract StaticSignatures is SelfAuth {
    /// @notice No approval is stored for the payload, or it has expired.
    /// @param expires Unix time in seconds; zero if there never was one.
    error InvalidStaticSignatureExpired(bytes32 opHash, uint256 expires);
    /// @notice The approval is for another caller.
    error InvalidStaticSignatureWrongCaller(bytes32 opHash, address caller, address expectedCaller);
    /// @notice A static signature is one byte: there is nothing to say but its flags.
    error InvalidStaticSignatureLength(uint256 length);

    /// @notice An approval was set, or removed (expired already).
    event StaticSignatureSet(bytes32 opHash, address caller, uint96 expires);

    /// @dev keccak256("org.sequence.module.auth.static"); each entry is `caller << 96 | expires`.
    bytes32 private constant STATIC_SIGNATURES = 0xc852adf5e97c2fc3b38f405671e91b7af1697ef0287577f227ef10494c2a8e86;

    /// @notice The approval of a payload.
    /// @return caller Who may use it; zero for anybody.
    /// @return expires Unix time in seconds from which on it is void.
    function getStaticSignature(bytes32 opHash) external view returns (address caller, uint256 expires) {
        return _staticSignature(opHash);
    }

    /// @notice Approves a payload by its hash.
    /// @param opHash The payload's EIP-712 hash.
    /// @param caller Who may use the approval; zero for anybody.
    /// @param expires Unix time in seconds from which on it is void; anything in the past removes it.
    function setStaticSignature(bytes32 opHash, address caller, uint96 expires) external payable onlySelf {
        Storage.writeMap(STATIC_SIGNATURES, opHash, bytes32(uint256(uint160(caller)) << 96 | expires));
        emit StaticSignatureSet(opHash, caller, expires);
    }

    /// @dev Reverts unless the payload is approved, for who calls, at this time.
    function _requireStaticSignature(bytes32 opHash) internal view {
        (address caller, uint256 expires) = _staticSignature(opHash);
        if (expires <= block.timestamp) revert InvalidStaticSignatureExpired(opHash, expires);
        if (caller != address(0) && caller != msg.sender) {
            revert InvalidStaticSignatureWrongCaller(opHash, msg.sender, caller);
        }
    }

    function _staticSignature(bytes32 opHash) private view returns (address caller, uint256 expires) {
        uint256 entry = uint256(Storage.readMap(STATIC_SIGNATURES, opHash));
        return (address(uint160(entry >> 96)), uint96(entry));
    }
}
