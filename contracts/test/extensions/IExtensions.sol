// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Decoded} from "../IWallet.sol";

/// @notice The part of forge's test machine about time and storage.
interface Clock {
    function warp(uint256 timestamp) external;
    function store(address target, bytes32 slot, bytes32 value) external;
    function mockCall(address target, bytes calldata data, bytes calldata answer) external;
    function snapshotState() external returns (uint256);
    function revertToState(uint256 id) external returns (bool);
}

/// @notice The extensions as others see them, written from the format's description.
interface IRecovery {
    error InvalidSignature(address wallet, address signer, bytes signature);
    error AlreadyQueued(address wallet, address signer, bytes32 payloadHash);
    error QueueNotReady(address wallet, bytes32 payloadHash);
    error NotASigner(address wallet);
    error TooManyLoneCancellations(address wallet, address signer);
    error ZeroSigner();

    function WINDOW() external view returns (uint256);
    function LONE_CANCELLATIONS() external view returns (uint256);
    function queuePayload(address wallet, address signer, Decoded calldata payload, bytes calldata signature)
        external;
    function cancelRecovery(address wallet, address signer, bytes calldata signature) external;
    function cancellationHash(address wallet, address signer) external view returns (bytes32);
    function recoveryPayloadHash(address wallet, Decoded calldata payload) external view returns (bytes32);
    function timestampForQueuedPayload(address wallet, address signer, bytes32 payloadHash)
        external
        view
        returns (uint256);
    function queuedPayloadHashes(address wallet, address signer, uint256 index) external view returns (bytes32);
    function totalQueuedPayloads(address wallet, address signer) external view returns (uint256);
    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature)
        external
        view
        returns (bytes32);
}

/// @notice The part of forge's test machine about P-256.
interface CurveVm {
    function signP256(uint256 key, bytes32 digest) external pure returns (bytes32 r, bytes32 s);
    function publicKeyP256(uint256 key) external pure returns (uint256 x, uint256 y);
}

interface IPasskeys {
    error InvalidSignatureFlag(uint256 flags);
    error InvalidSignatureLength();
    error InvalidAuthenticatorData(bytes authenticatorData, bool requireUserVerification);
    error InvalidClientData(bytes clientData, bytes32 digest);
    error InvalidPasskeySignature(bytes32 message, bytes32 x, bytes32 y);

    function recoverSapientSignatureCompact(bytes32 digest, bytes calldata signature)
        external
        view
        returns (bytes32);
}

struct UsageLimit {
    bytes32 usageHash;
    uint256 usageAmount;
}

struct AuthData {
    string redirectUrl;
    uint64 issuedAt;
}

struct Attestation {
    address approvedSigner;
    bytes4 identityType;
    bytes32 issuerHash;
    bytes32 audienceHash;
    bytes applicationData;
    AuthData authData;
}

struct Rule {
    bool cumulative;
    uint8 operation;
    bytes32 value;
    uint256 offset;
    bytes32 mask;
}

struct Permission {
    address target;
    Rule[] rules;
}

interface ISessions {
    error InvalidPayloadKind();
    error InvalidSpace(uint256 space);
    error InvalidCallsLength();
    error InvalidSignatureLength();
    error InvalidDelegateCall();
    error InvalidSelfCall();
    error InvalidBehavior();
    error InvalidAttestation();
    error InvalidValue();
    error InvalidImplicitResult();
    error BlacklistedAddress(address account);
    error InvalidSessionSigner(address signer);
    error InvalidChainId(uint256 chainId);
    error SessionExpired(uint256 deadline);
    error MissingPermission();
    error InvalidPermission();
    error InvalidLimitUsageIncrement();
    error InvalidNodeType(uint256 flag);
    error InvalidIdentitySigner();
    error InvalidBlacklist();
    error InvalidBlacklistUnsorted();
    error InvalidParameterOperation(uint256 flags);
    error MalformedTree();
    error ZeroSigner();

    function incrementUsageLimit(UsageLimit[] calldata limits) external;
    function getLimitUsage(address wallet, bytes32 usageHash) external view returns (uint256);
    function recoverSapientSignature(Decoded calldata payload, bytes calldata signature)
        external
        view
        returns (bytes32);
}

interface ICheckpointerContract {
    error InvalidAttestation(address wallet);
    error AttestationOutOfTime(uint256 issued, uint256 expires);
    error NotASigner(address wallet);
    error NotSignedByRecoverySigner(address signer);
    error InvalidRotation();

    function DISTRUST_DELAY() external view returns (uint256);
    function RECOVERY() external view returns (address);
    function MAX_LIFETIME() external view returns (uint256);
    function CLOCK_SKEW() external view returns (uint256);
    function key() external view returns (address);
    function rotations() external view returns (uint256);
    function silentFrom(address wallet) external view returns (uint256);
    function isSilent(address wallet) external view returns (bool);
    function attestationHash(address wallet, bytes32 imageHash, uint256 checkpoint, uint256 issued, uint256 expires)
        external
        view
        returns (bytes32);
    function distrustHash(address wallet) external view returns (bytes32);
    function distrust(address wallet, bytes calldata signature) external;
    function cancelRecovery(address wallet, address signer, bytes calldata signature) external;
    function distrustByRecovery(
        address wallet,
        address recovery,
        address signer,
        bytes calldata proof,
        bytes calldata signature
    ) external;
    function trust() external;
    function rotate(address next, bytes calldata signature) external;
    function snapshotFor(address wallet, bytes calldata proof) external view returns (bytes32, uint256);
}
