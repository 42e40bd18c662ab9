// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ISapient} from "../interfaces/ISapient.sol";
import {Attestation, ISignalsImplicitMode, Permission, ParameterRule, UsageLimit} from "../interfaces/ISessions.sol";
import {Payload} from "../lib/Payload.sol";
import {Reader} from "../lib/Reader.sol";
import {SessionAttestation} from "../lib/SessionAttestation.sol";
import {SessionRules} from "../lib/SessionRules.sol";
import {SessionTree} from "../lib/SessionTree.sol";
import {SessionUsage} from "../lib/SessionUsage.sol";
import {Signers} from "../lib/Signers.sol";

/// @title Sessions
/// @notice Session keys with bounded power. An explicit session may make calls that its permissions name, within
/// rules and limits; an implicit one may make calls that the called contract welcomes, without coin.
/// Units: wei, Unix seconds.
/// @dev The wallet's leaf is sapient: this contract, and the root of the session tree. Each call of the payload
/// is signed by itself.
///
/// WARNING: what a session spends is counted by a call that must stand first in the payload. It counts even if
/// a later call fails and the failure is ignored.
contract Sessions is ISapient {
    using Reader for bytes;
    using SessionRules for SessionRules.Session;
    using SessionRules for ParameterRule;
    using SessionTree for SessionTree.Shown;
    using SessionUsage for SessionUsage.Entry;
    using SessionUsage for SessionUsage.Ledger;

    // ─── Events ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice So much of a limit has been used.
    event LimitUsageUpdated(address wallet, bytes32 usageHash, uint256 usageAmount);

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice Sessions approve calls and nothing else.
    error InvalidPayloadKind();
    /// @notice The nonce space is above those of sessions.
    error InvalidSpace(uint256 space);
    /// @notice There is no call.
    error InvalidCallsLength();
    /// @notice The signature is longer or shorter than its parts.
    error InvalidSignatureLength();
    /// @notice A session cannot run code as the wallet.
    error InvalidDelegateCall();
    /// @notice A session cannot call the wallet.
    error InvalidSelfCall();
    /// @notice A session cannot end a payload halfway as if it had succeeded.
    error InvalidBehavior();
    /// @notice The identity signer did not sign the attestation, or there is none of this number.
    error InvalidAttestation();
    /// @notice An implicit session may not send coin, or an explicit one not so much.
    error InvalidValue();
    /// @notice The target did not welcome the call.
    error InvalidImplicitResult();
    /// @notice The deny-list has the address.
    error BlacklistedAddress(address account);
    /// @notice No shown session has this key.
    error InvalidSessionSigner(address signer);
    /// @notice The session is for another chain.
    error InvalidChainId(uint256 chainId);
    /// @notice The session has ended.
    error SessionExpired(uint256 deadline);
    /// @notice The session has no permission of this number.
    error MissingPermission();
    /// @notice The call is not what the permission allows.
    error InvalidPermission();
    /// @notice What has been used is not counted as it must be, or would fall.
    error InvalidLimitUsageIncrement();

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    /// @notice The highest nonce space of a session's payload.
    uint256 public constant MAX_SPACE = 2 ** 80 - 2;
    uint256 private constant FLAG_IMPLICIT = 0x80;

    // ─── State ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice How much of a limit `wallet` has used.
    mapping(address wallet => mapping(bytes32 usageHash => uint256)) public getLimitUsage;

    // ─── Counting ───────────────────────────────────────────────────────────────────────────────────

    /// @notice Sets what the caller's sessions have used; totals never fall.
    /// @dev Open to anybody, each for itself.
    function incrementUsageLimit(UsageLimit[] calldata limits) external {
        for (uint256 i; i < limits.length; ++i) {
            (bytes32 usageHash, uint256 amount) = (limits[i].usageHash, limits[i].usageAmount);
            if (amount < getLimitUsage[msg.sender][usageHash]) revert InvalidLimitUsageIncrement();
            getLimitUsage[msg.sender][usageHash] = amount;
            emit LimitUsageUpdated(msg.sender, usageHash, amount);
        }
    }

    // ─── Use ────────────────────────────────────────────────────────────────────────────────────────

    /// @dev What is the same for all calls of a payload.
    struct Context {
        SessionTree.Shown shown;
        Attestation[] attestations;
        SessionUsage.Ledger ledger;
        bytes32 payloadHash;
    }

    /// @inheritdoc ISapient
    /// @dev Tree (length of 3 bytes), count of attestations, each with 64 bytes by the identity signer, and for
    /// each call a byte (implicit and which attestation, or which permission) with 64 bytes by the session key.
    function recoverSapientSignature(Payload.Decoded calldata payload, bytes calldata signature)
        external
        view
        override
        returns (bytes32)
    {
        if (payload.kind != Payload.KIND_CALLS) revert InvalidPayloadKind();
        if (payload.space > MAX_SPACE) revert InvalidSpace(payload.space);
        if (payload.calls.length == 0) revert InvalidCallsLength();

        Context memory context;
        (bytes calldata tree, uint256 cursor) = signature.sized(0, 3);
        context.shown = SessionTree.read(tree);
        (context.attestations, cursor) = _readAttestations(signature, cursor, context.shown);
        context.payloadHash = Payload.hashFor(payload, msg.sender);

        for (uint256 i; i < payload.calls.length; ++i) {
            Payload.Call calldata call = payload.calls[i];
            if (call.delegateCall) revert InvalidDelegateCall();
            if (call.to == msg.sender) revert InvalidSelfCall();
            if (call.behaviorOnError == Payload.BEHAVIOR_ABORT) revert InvalidBehavior();

            uint256 flag;
            (flag, cursor) = signature.u8(cursor);
            address signer;
            (signer, cursor) = _readSigner(signature, cursor, keccak256(abi.encode(context.payloadHash, i)));
            if (flag & FLAG_IMPLICIT != 0) _checkImplicit(context, call, signer, flag & 0x7f);
            else _checkExplicit(context, call, signer, flag, i);
        }
        if (cursor != signature.length) revert InvalidSignatureLength();
        _checkIncrement(payload.calls[0], context.ledger);
        return context.shown.root;
    }

    function _readAttestations(bytes calldata signature, uint256 cursor, SessionTree.Shown memory shown)
        private
        pure
        returns (Attestation[] memory attestations, uint256 next)
    {
        uint256 count;
        (count, next) = signature.u8(cursor);
        if (count != 0 && !shown.hasBlacklist) revert SessionTree.InvalidBlacklist();
        attestations = new Attestation[](count);
        for (uint256 i; i < count; ++i) {
            bytes32 digest;
            address signer;
            (attestations[i], digest, next) = SessionAttestation.read(signature, next);
            (signer, next) = _readSigner(signature, next, digest);
            if (signer != shown.identitySigner) revert InvalidAttestation();
        }
    }

    function _readSigner(bytes calldata signature, uint256 cursor, bytes32 digest)
        private
        pure
        returns (address signer, uint256 next)
    {
        bytes32 r;
        bytes32 parityAndS;
        (r, cursor) = signature.word(cursor);
        (parityAndS, next) = signature.word(cursor);
        signer = Signers.recover(digest, r, parityAndS);
        if (signer == address(0)) revert InvalidSessionSigner(signer);
    }

    // ─── Implicit sessions ──────────────────────────────────────────────────────────────────────────

    function _checkImplicit(Context memory context, Payload.Call calldata call, address signer, uint256 index)
        private
        view
    {
        if (index >= context.attestations.length) revert InvalidAttestation();
        Attestation memory attestation = context.attestations[index];
        if (signer != attestation.approvedSigner) revert InvalidSessionSigner(signer);
        if (context.shown.denies(signer)) revert BlacklistedAddress(signer);
        if (context.shown.denies(call.to)) revert BlacklistedAddress(call.to);
        if (call.value != 0) revert InvalidValue();
        // Nobody's session may touch the counters of another.
        if (call.to == address(this)) revert InvalidLimitUsageIncrement();
        bytes32 answer = ISignalsImplicitMode(call.to).acceptImplicitRequest(msg.sender, attestation, call);
        if (answer != SessionAttestation.magic(attestation, msg.sender)) revert InvalidImplicitResult();
    }

    // ─── Explicit sessions ──────────────────────────────────────────────────────────────────────────

    function _checkExplicit(
        Context memory context,
        Payload.Call calldata call,
        address signer,
        uint256 index,
        uint256 callIndex
    ) private view {
        uint256 position = context.shown.find(signer);
        if (position == 0) revert InvalidSessionSigner(signer);
        SessionRules.Session memory session = SessionRules.session(position);
        if (session.chainId != 0 && session.chainId != block.chainid) revert InvalidChainId(session.chainId);
        if (session.deadline != 0 && block.timestamp > session.deadline) revert SessionExpired(session.deadline);

        SessionUsage.Entry memory entry = context.ledger.entry(signer, getLimitUsage[msg.sender]);
        if (call.to == address(this)) {
            // The counting of what is used; what it says is compared once all is known.
            if (callIndex != 0) revert InvalidLimitUsageIncrement();
            if (call.value != 0) revert InvalidValue();
            return;
        }
        if (index >= session.count) revert MissingPermission();
        Permission memory permission = session.permission(index);
        if (permission.target != call.to) revert InvalidPermission();
        for (uint256 i; i < permission.rules.length; ++i) {
            ParameterRule memory rule = permission.rules[i];
            (bool there, uint256 value) = rule.parameter(call.data);
            if (!there) revert InvalidPermission();
            if (rule.cumulative) {
                bytes32 usageHash = keccak256(abi.encode(signer, permission, i));
                value = entry.add(usageHash, value, getLimitUsage[msg.sender]);
            }
            if (!rule.holds(value)) revert InvalidPermission();
        }
        entry.value += call.value;
        if (entry.value > session.valueLimit) revert InvalidValue();
    }

    // ─── What has been used ─────────────────────────────────────────────────────────────────────────

    /// @dev The first call must count what is used, exactly; where nothing is, there must be no such call.
    function _checkIncrement(Payload.Call calldata first, SessionUsage.Ledger memory ledger) private view {
        UsageLimit[] memory limits = ledger.totals();
        if (limits.length == 0) {
            if (first.to == address(this)) revert InvalidLimitUsageIncrement();
            return;
        }
        bytes memory expected = abi.encodeCall(this.incrementUsageLimit, (limits));
        if (
            first.to != address(this) || first.behaviorOnError != Payload.BEHAVIOR_REVERT || first.onlyFallback
                || keccak256(first.data) != keccak256(expected)
        ) revert InvalidLimitUsageIncrement();
    }
}
