// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ISapient} from "../interfaces/ISapient.sol";
import {Attestation, ISignalsImplicitMode, UsageLimit} from "../interfaces/ISessions.sol";
import {Payload} from "../lib/Payload.sol";
import {Reader} from "../lib/Reader.sol";
import {SessionAttestation} from "../lib/SessionAttestation.sol";
import {SessionCalls} from "../lib/SessionCalls.sol";
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
    using SessionTree for SessionTree.Shown;
    using SessionUsage for SessionUsage.Entry;
    using SessionUsage for SessionUsage.Entry[];

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
        (bytes32 payloadHash, uint256 calls, uint256 count) = SessionCalls.read(payload, msg.sender);
        if (count == 0) revert InvalidCallsLength();

        (uint256 cursor, uint256 end) = signature.bounds();
        uint256 length;
        (length, cursor) = Reader.numberAt(cursor, end, 3);
        unchecked {
            if (length > end - cursor) revert Reader.Truncated();
            length += cursor;
        }
        (bytes32 root, SessionTree.Shown memory shown) = SessionTree.read(cursor, length);
        Attestation[] memory attestations;
        (length, cursor) = Reader.numberAt(length, end, 1);
        if (length != 0) (attestations, cursor) = _readAttestations(signature, cursor, length, shown);
        // Without the call that counts nothing may be used, and what was used before does not matter.
        bool counting = _counts(SessionCalls.get(calls, 0));
        SessionUsage.Entry[] memory ledger;
        if (counting) ledger = SessionUsage.open(count);

        for (uint256 i; i != count;) {
            Payload.Call calldata call = SessionCalls.get(calls, i);
            (uint256 flag, address signer) = _readCallSigner(cursor, end, payloadHash, i);
            if (flag & FLAG_IMPLICIT != 0) _checkImplicit(shown, attestations, call, signer, flag & 0x7f);
            else _checkExplicit(shown, counting, ledger, call, signer, flag, i);
            unchecked {
                cursor += 65;
                ++i;
            }
        }
        if (cursor != end) revert InvalidSignatureLength();
        if (counting) _checkIncrement(SessionCalls.get(calls, 0), ledger);
        return root;
    }

    function _readAttestations(
        bytes calldata signature,
        uint256 cursor,
        uint256 count,
        SessionTree.Shown memory shown
    ) private view returns (Attestation[] memory attestations, uint256 next) {
        if (shown.blacklist == 0) revert SessionTree.InvalidBlacklist();
        attestations = new Attestation[](count);
        (uint256 start,) = signature.bounds();
        next = cursor - start;
        for (uint256 i; i < count; ++i) {
            bytes32 digest;
            bytes32 r;
            bytes32 parityAndS;
            (attestations[i], digest, next) = SessionAttestation.read(signature, next);
            (r, next) = signature.word(next);
            (parityAndS, next) = signature.word(next);
            if (_recover(digest, r, parityAndS) != shown.identitySigner) revert InvalidAttestation();
        }
        next += start;
    }

    /// @dev Which permission or attestation, and who signed the call of this number: 65 bytes.
    function _readCallSigner(uint256 cursor, uint256 end, bytes32 payloadHash, uint256 index)
        private
        view
        returns (uint256 flag, address signer)
    {
        unchecked {
            if (cursor + 65 > end) revert Reader.Truncated();
            flag = Reader.load8(cursor);
            bytes32 digest;
            // In the scratch space. Plain equivalent: `digest = keccak256(abi.encode(payloadHash, index))`.
            assembly ("memory-safe") {
                mstore(0x00, payloadHash)
                mstore(0x20, index)
                digest := keccak256(0x00, 0x40)
            }
            signer = _recover(digest, bytes32(Reader.load(cursor + 1)), bytes32(Reader.load(cursor + 33)));
        }
    }

    function _recover(bytes32 digest, bytes32 r, bytes32 parityAndS) private view returns (address signer) {
        signer = Signers.recover(digest, r, parityAndS);
        if (signer == address(0)) revert InvalidSessionSigner(signer);
    }

    // ─── Implicit sessions ──────────────────────────────────────────────────────────────────────────

    function _checkImplicit(
        SessionTree.Shown memory shown,
        Attestation[] memory attestations,
        Payload.Call calldata call,
        address signer,
        uint256 index
    ) private view {
        if (index >= attestations.length) revert InvalidAttestation();
        Attestation memory attestation = attestations[index];
        if (signer != attestation.approvedSigner) revert InvalidSessionSigner(signer);
        if (shown.denies(signer)) revert BlacklistedAddress(signer);
        if (shown.denies(call.to)) revert BlacklistedAddress(call.to);
        if (call.value != 0) revert InvalidValue();
        // Nobody's session may touch the counters of another.
        if (call.to == address(this)) revert InvalidLimitUsageIncrement();
        bytes32 answer = ISignalsImplicitMode(call.to).acceptImplicitRequest(msg.sender, attestation, call);
        if (answer != SessionAttestation.magic(attestation, msg.sender)) revert InvalidImplicitResult();
    }

    // ─── Explicit sessions ──────────────────────────────────────────────────────────────────────────

    function _checkExplicit(
        SessionTree.Shown memory shown,
        bool counting,
        SessionUsage.Entry[] memory ledger,
        Payload.Call calldata call,
        address signer,
        uint256 index,
        uint256 callIndex
    ) private view {
        uint256 session = shown.find(signer);
        if (session == 0) revert InvalidSessionSigner(signer);
        (uint256 bound, bool wrong) = SessionRules.chain(session);
        if (wrong) revert InvalidChainId(bound);
        (bound, wrong) = SessionRules.deadline(session);
        if (wrong) revert SessionExpired(bound);

        (address to, uint256 value) = SessionCalls.target(call);
        if (to == address(this)) {
            // The counting of what is used; what it says is compared once all is known.
            if (callIndex != 0) revert InvalidLimitUsageIncrement();
            if (value != 0) revert InvalidValue();
            ledger.entry(signer, getLimitUsage[msg.sender]);
            return;
        }
        if (index >= SessionRules.count(session)) revert MissingPermission();
        _checkPermission(SessionRules.permission(session, index), to, call, signer, counting, ledger);
        if (counting) {
            SessionUsage.Entry memory entry = ledger.entry(signer, getLimitUsage[msg.sender]);
            unchecked {
                uint256 total = entry.value + value;
                if (total < value || total > SessionRules.valueLimit(session)) revert InvalidValue();
                entry.value = total;
            }
        } else if (value != 0) {
            revert InvalidLimitUsageIncrement();
        }
    }

    function _checkPermission(
        uint256 permission,
        address to,
        Payload.Call calldata call,
        address signer,
        bool counting,
        SessionUsage.Entry[] memory ledger
    ) private view {
        (address target, uint256 rules, uint256 rule) = SessionRules.head(permission);
        if (target != to) revert InvalidPermission();
        if (rules == 0) return;
        (uint256 data, uint256 length) = SessionCalls.data(call);
        for (uint256 i; i != rules;) {
            (bool there, bool cumulative, uint256 value) = SessionRules.parameter(rule, data, length);
            if (cumulative) {
                if (!there) revert InvalidPermission();
                if (!counting) revert InvalidLimitUsageIncrement();
                bytes32 usageHash = SessionRules.usageHash(signer, permission, i);
                mapping(bytes32 => uint256) storage stored = getLimitUsage[msg.sender];
                value = ledger.entry(signer, stored).add(usageHash, value, stored);
            }
            if (!SessionRules.holds(rule, value, there)) revert InvalidPermission();
            unchecked {
                rule += SessionTree.RULE;
                ++i;
            }
        }
    }

    // ─── What has been used ─────────────────────────────────────────────────────────────────────────

    /// @dev Whether a payload with this first call counts what it uses.
    function _counts(Payload.Call calldata first) private view returns (bool) {
        (address to,) = SessionCalls.target(first);
        return to == address(this);
    }

    /// @dev The first call must count what is used, exactly, and something must be.
    function _checkIncrement(Payload.Call calldata first, SessionUsage.Entry[] memory ledger) private view {
        UsageLimit[] memory limits = ledger.totals();
        bytes memory expected = abi.encodeCall(this.incrementUsageLimit, (limits));
        if (
            limits.length == 0 || first.behaviorOnError != Payload.BEHAVIOR_REVERT || first.onlyFallback
                || keccak256(first.data) != keccak256(expected)
        ) revert InvalidLimitUsageIncrement();
    }
}
