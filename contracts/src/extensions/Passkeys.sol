// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

import {ISapientCompact} from "../interfaces/ISapient.sol";
import {Reader} from "../lib/Reader.sol";

/// @title Passkeys
/// @notice Passkeys as signers of a wallet: WebAuthn assertions over the payload's hash, P-256.
/// @dev The wallet's leaf is sapient compact: this contract, and the hash of key, whether the user must be
/// verified, and metadata. The precompile of RIP-7212 is asked first; where a chain has none, the curve is
/// computed here, for about 200,000 gas.
///
/// WARNING: origin, relying party, counter and backup state are not checked: a passkey signs for a wallet
/// wherever its owner uses it. Web Authentication level 3, section 7.2, asks more of a website.
contract Passkeys is ISapientCompact {
    using Reader for bytes;

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A flag without meaning is set, or the form that is ABI-encoded, which is not taken.
    error InvalidSignatureFlag(uint256 flags);
    /// @notice Bytes remain after the public key.
    error InvalidSignatureLength();
    /// @notice Authenticator data shorter than 37 bytes, or without user presence or verification.
    error InvalidAuthenticatorData(bytes authenticatorData, bool requireUserVerification);
    /// @notice The client data is not of an assertion, or not over the payload.
    error InvalidClientData(bytes clientData, bytes32 digest);
    /// @notice The key did not sign.
    error InvalidPasskeySignature(bytes32 message, bytes32 x, bytes32 y);

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    uint256 private constant FLAG_USER_VERIFICATION = 0x01;
    uint256 private constant FLAG_WIDE_AUTHENTICATOR_DATA = 0x02;
    uint256 private constant FLAG_WIDE_CLIENT_DATA = 0x04;
    uint256 private constant FLAG_WIDE_CHALLENGE_INDEX = 0x08;
    uint256 private constant FLAG_WIDE_TYPE_INDEX = 0x10;
    uint256 private constant FLAG_METADATA = 0x40;
    uint256 private constant FLAGS_WITHOUT_MEANING = 0xa0;

    /// @dev rpIdHash, flags, counter: Web Authentication level 3, section 6.1.
    uint256 private constant MIN_AUTHENTICATOR_DATA = 37;
    bytes1 private constant USER_PRESENT = 0x01;
    bytes1 private constant USER_VERIFIED = 0x04;

    /// @dev What a signature shows besides the assertion itself.
    struct Credential {
        bool requireUserVerification;
        bytes32 metadata;
        bytes32 x;
        bytes32 y;
    }

    // ─── Use ────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc ISapientCompact
    /// @dev Flags, [metadata], authenticator data, client data, where the challenge and the type stand in it,
    /// r, s, x, y.
    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature)
        external
        view
        override
        returns (bytes32)
    {
        Credential memory credential;
        (uint256 flags, uint256 cursor) = signature.u8(0);
        if (flags & FLAGS_WITHOUT_MEANING != 0) revert InvalidSignatureFlag(flags);
        credential.requireUserVerification = flags & FLAG_USER_VERIFICATION != 0;
        if (flags & FLAG_METADATA != 0) (credential.metadata, cursor) = signature.word(cursor);

        bytes32 message;
        (message, cursor) = _readAssertion(digest, signature, flags, cursor);

        bytes32 r;
        bytes32 s;
        (r, cursor) = signature.word(cursor);
        (s, cursor) = signature.word(cursor);
        (credential.x, cursor) = signature.word(cursor);
        (credential.y, cursor) = signature.word(cursor);
        if (cursor != signature.length) revert InvalidSignatureLength();
        if (!P256.verify(message, r, s, credential.x, credential.y)) {
            revert InvalidPasskeySignature(message, credential.x, credential.y);
        }
        return _root(credential);
    }

    /// @dev Returns what the authenticator signed, after its parts were checked.
    function _readAssertion(bytes32 digest, bytes calldata signature, uint256 flags, uint256 cursor)
        private
        pure
        returns (bytes32 message, uint256 next)
    {
        bytes calldata authenticatorData;
        (authenticatorData, cursor) = signature.sized(cursor, flags & FLAG_WIDE_AUTHENTICATOR_DATA == 0 ? 1 : 2);
        _checkAuthenticatorData(authenticatorData, flags & FLAG_USER_VERIFICATION != 0);

        bytes calldata clientData;
        (clientData, cursor) = signature.sized(cursor, flags & FLAG_WIDE_CLIENT_DATA == 0 ? 1 : 2);
        uint256 challengeIndex;
        uint256 typeIndex;
        (challengeIndex, cursor) = signature.number(cursor, flags & FLAG_WIDE_CHALLENGE_INDEX == 0 ? 1 : 2);
        (typeIndex, next) = signature.number(cursor, flags & FLAG_WIDE_TYPE_INDEX == 0 ? 1 : 2);
        // A quotation mark within a JSON string is escaped, so neither text can stand inside another field.
        bytes memory challenge =
            abi.encodePacked('"challenge":"', Base64.encodeURL(abi.encodePacked(digest)), '"');
        if (!_standsAt(clientData, typeIndex, '"type":"webauthn.get"') || !_standsAt(clientData, challengeIndex, challenge))
        {
            revert InvalidClientData(clientData, digest);
        }
        message = sha256(abi.encodePacked(authenticatorData, sha256(clientData)));
    }

    function _checkAuthenticatorData(bytes calldata data, bool requireUserVerification) private pure {
        bool good = data.length >= MIN_AUTHENTICATOR_DATA;
        if (good) {
            bytes1 flags = data[32];
            good = flags & USER_PRESENT != 0 && (!requireUserVerification || flags & USER_VERIFIED != 0);
        }
        if (!good) revert InvalidAuthenticatorData(data, requireUserVerification);
    }

    function _standsAt(bytes calldata text, uint256 index, bytes memory expected) private pure returns (bool) {
        // Both are at most 16 bits wide: the sum cannot wrap.
        if (index + expected.length > text.length) return false;
        return keccak256(text[index:index + expected.length]) == keccak256(expected);
    }

    function _root(Credential memory credential) private pure returns (bytes32) {
        bytes32 key = keccak256(abi.encode(credential.x, credential.y));
        bytes32 rest = keccak256(abi.encode(credential.requireUserVerification, credential.metadata));
        return keccak256(abi.encode(key, rest));
    }
}
