// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Reader} from "./Reader.sol";

/// @title Payload
/// @notice What a wallet is asked to approve: its packed form and its EIP-712 hash.
///
/// WARNING: the hash is what signers sign. Every field that changes what the wallet does must be in it.
library Payload {
    using Reader for bytes;

    // ─── Types ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice One call.
    struct Call {
        address to;
        uint256 value;
        bytes data;
        uint256 gasLimit;
        bool delegateCall;
        bool onlyFallback;
        uint256 behaviorOnError;
    }

    /// @notice A payload of any kind; fields of other kinds are empty.
    struct Decoded {
        uint8 kind;
        bool noChainId;
        Call[] calls;
        uint256 space;
        uint256 nonce;
        bytes message;
        bytes32 imageHash;
        bytes32 digest;
        address[] parentWallets;
    }

    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice The payload's kind has no hash.
    error InvalidKind(uint8 kind);
    /// @notice Bytes remain after the last call.
    error InvalidPackedLength();
    /// @notice A flag without meaning is set in packed calls.
    error InvalidPackedFlag(uint256 flags);

    // ─── Constants ──────────────────────────────────────────────────────────────────────────────────

    uint8 internal constant KIND_CALLS = 0;
    uint8 internal constant KIND_MESSAGE = 1;
    uint8 internal constant KIND_CONFIG_UPDATE = 2;
    uint8 internal constant KIND_DIGEST = 3;

    uint256 internal constant BEHAVIOR_IGNORE = 0;
    uint256 internal constant BEHAVIOR_REVERT = 1;
    uint256 internal constant BEHAVIOR_ABORT = 2;

    /// @dev keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    bytes32 private constant DOMAIN_TYPE = 0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f;
    /// @dev keccak256("Sequence Wallet")
    bytes32 private constant NAME = 0x4aa45ca7ad825ceb1bf35643f0a58c295239df563b1b565c2485f96477c56318;
    /// @dev keccak256("3")
    bytes32 private constant VERSION = 0x2a80e1ef1d7842f27f2e6be0972bb708b9a135c38860dbe73c27c3486c34f4de;
    /// @dev keccak256("Call(address to,uint256 value,bytes data,uint256 gasLimit,bool delegateCall,"
    /// "bool onlyFallback,uint256 behaviorOnError)")
    bytes32 private constant CALL_TYPE = 0x0603985259a953da1f65a522f589c17bd1d0117ec1d3abb7c0788aef251ef437;
    /// @dev keccak256("Calls(Call[] calls,uint256 space,uint256 nonce,address[] wallets)" and the Call type)
    bytes32 private constant CALLS_TYPE = 0x11e1e4079a79a66e4ade50033cfe2678cdd5341d2dfe5ef9513edb1a0be147a2;
    /// @dev keccak256("Message(bytes message,address[] wallets)")
    bytes32 private constant MESSAGE_TYPE = 0xe19a3b94fc3c7ece3f890d98a99bc422615537a08dea0603fa8425867d87d466;
    /// @dev keccak256("ConfigUpdate(bytes32 imageHash,address[] wallets)")
    bytes32 private constant CONFIG_UPDATE_TYPE = 0x11fdeb7e8373a1aa96bfac8d0ea91526b2c5d15e5cee20e0543e780258f3e8e4;

    // ─── Reading ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Reads packed calls; `self` flags mean the contract that reads.
    /// @dev Global flags: 0x01 space is zero, 0x0e width of the nonce, 0x10 one call, 0x20 wide count.
    function fromPackedCalls(bytes calldata packed) internal view returns (Decoded memory payload) {
        uint256 cursor;
        uint256 flags;
        (flags, cursor) = packed.u8(0);
        if (flags & 0xc0 != 0 || flags & 0x30 == 0x30) revert InvalidPackedFlag(flags);

        payload.kind = KIND_CALLS;
        if (flags & 0x01 == 0) (payload.space, cursor) = packed.number(cursor, 20);
        (payload.nonce, cursor) = packed.number(cursor, (flags >> 1) & 0x07);
        uint256 count = 1;
        if (flags & 0x10 == 0) (count, cursor) = packed.number(cursor, flags & 0x20 == 0 ? 1 : 2);

        Call[] memory calls = new Call[](count);
        for (uint256 i; i < count; ++i) {
            cursor = _readCall(packed, cursor, calls[i]);
        }
        if (cursor != packed.length) revert InvalidPackedLength();
        payload.calls = calls;
    }

    /// @dev Call flags: 0x01 to self, 0x02 value, 0x04 data, 0x08 gas limit, 0x10 delegate call,
    /// 0x20 only as fallback, 0xc0 behaviour on error.
    function _readCall(bytes calldata packed, uint256 cursor, Call memory call) private view returns (uint256) {
        uint256 flags;
        (flags, cursor) = packed.u8(cursor);
        // Behaviour 3 would let a failed call count as a successful one.
        if (flags >= 0xc0) revert InvalidPackedFlag(flags);

        if (flags & 0x01 != 0) call.to = address(this);
        else (call.to, cursor) = packed.account(cursor);
        if (flags & 0x02 != 0) (call.value, cursor) = packed.number(cursor, 32);
        if (flags & 0x04 != 0) {
            bytes calldata data;
            (data, cursor) = packed.sized(cursor, 3);
            call.data = data;
        }
        if (flags & 0x08 != 0) (call.gasLimit, cursor) = packed.number(cursor, 32);
        call.delegateCall = flags & 0x10 != 0;
        call.onlyFallback = flags & 0x20 != 0;
        call.behaviorOnError = flags >> 6;
        return cursor;
    }

    // ─── Making ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice The payload that approves a hash whose preimage only the asker knows.
    function fromDigest(bytes32 digest) internal pure returns (Decoded memory payload) {
        payload.kind = KIND_DIGEST;
        payload.digest = digest;
    }

    /// @notice The payload that approves the next configuration.
    function fromConfigUpdate(bytes32 imageHash) internal pure returns (Decoded memory payload) {
        payload.kind = KIND_CONFIG_UPDATE;
        payload.imageHash = imageHash;
    }

    // ─── Hashing ────────────────────────────────────────────────────────────────────────────────────

    /// @notice The EIP-712 hash for this wallet, on this chain unless the payload counts on all.
    function hash(Decoded memory payload) internal view returns (bytes32) {
        return hashFor(payload, address(this));
    }

    /// @notice The EIP-712 hash for another verifying contract.
    function hashFor(Decoded memory payload, address wallet) internal view returns (bytes32) {
        uint256 chainId = payload.noChainId ? 0 : block.chainid;
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, NAME, VERSION, chainId, wallet));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash(payload)));
    }

    /// @notice The EIP-712 struct hash.
    function structHash(Decoded memory payload) internal pure returns (bytes32) {
        // Each address stands left-padded in a word of its own, as EIP-712 wants it.
        bytes32 wallets = keccak256(abi.encodePacked(payload.parentWallets));
        if (payload.kind == KIND_CALLS) {
            bytes32 calls = _hashCalls(payload.calls);
            return keccak256(abi.encode(CALLS_TYPE, calls, payload.space, payload.nonce, wallets));
        }
        if (payload.kind == KIND_MESSAGE) {
            return keccak256(abi.encode(MESSAGE_TYPE, keccak256(payload.message), wallets));
        }
        if (payload.kind == KIND_CONFIG_UPDATE) {
            return keccak256(abi.encode(CONFIG_UPDATE_TYPE, payload.imageHash, wallets));
        }
        if (payload.kind == KIND_DIGEST) {
            return keccak256(abi.encode(MESSAGE_TYPE, payload.digest, wallets));
        }
        revert InvalidKind(payload.kind);
    }

    function _hashCalls(Call[] memory calls) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            Call memory call = calls[i];
            hashes[i] = keccak256(
                abi.encode(
                    CALL_TYPE,
                    call.to,
                    call.value,
                    keccak256(call.data),
                    call.gasLimit,
                    call.delegateCall,
                    call.onlyFallback,
                    call.behaviorOnError
                )
            );
        }
        return keccak256(abi.encodePacked(hashes));
    }
}
