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
    bytes32 internal constant CALL_TYPE = 0x0603985259a953da1f65a522f589c17bd1d0117ec1d3abb7c0788aef251ef437;
    /// @dev keccak256("Calls(Call[] calls,uint256 space,uint256 nonce,address[] wallets)" and the Call type)
    bytes32 internal constant CALLS_TYPE = 0x11e1e4079a79a66e4ade50033cfe2678cdd5341d2dfe5ef9513edb1a0be147a2;
    /// @dev keccak256("Message(bytes message,address[] wallets)")
    bytes32 private constant MESSAGE_TYPE = 0xe19a3b94fc3c7ece3f890d98a99bc422615537a08dea0603fa8425867d87d466;
    /// @dev keccak256("ConfigUpdate(bytes32 imageHash,address[] wallets)")
    bytes32 private constant CONFIG_UPDATE_TYPE = 0x11fdeb7e8373a1aa96bfac8d0ea91526b2c5d15e5cee20e0543e780258f3e8e4;

    /// @dev keccak256(""): the hash of no parent wallets.
    bytes32 internal constant NO_WALLETS = 0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470;

    // ─── Reading ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Reads packed calls; `self` flags mean the contract that reads. Also returns their struct hash.
    /// @dev Global flags: 0x01 space is zero, 0x0e width of the nonce, 0x10 one call, 0x20 wide count.
    function fromPackedCalls(bytes calldata packed) internal view returns (Decoded memory payload, bytes32 body) {
        (uint256 cursor, uint256 end) = packed.bounds();
        if (cursor == end) revert Reader.Truncated();
        uint256 flags = Reader.load8(cursor);
        if (flags & 0xc0 != 0 || flags & 0x30 == 0x30) revert InvalidPackedFlag(flags);

        // Plain equivalent: the space of 20 bytes unless it is zero, the nonce of `(flags >> 1) & 7` bytes, and
        // unless there is one call the count of one or two bytes, each read with `Reader.numberAt`. Here the end
        // is checked once, after all.
        uint256 count = 1;
        assembly ("memory-safe") {
            cursor := add(cursor, 1)
            if iszero(and(flags, 0x01)) {
                mstore(add(payload, 0x60), shr(96, calldataload(cursor)))
                cursor := add(cursor, 20)
            }
            let bits := shl(2, and(flags, 0x0e))
            mstore(add(payload, 0x80), shr(sub(256, bits), calldataload(cursor)))
            cursor := add(cursor, shr(3, bits))
            if iszero(and(flags, 0x10)) {
                bits := add(8, shr(2, and(flags, 0x20)))
                count := shr(sub(256, bits), calldataload(cursor))
                cursor := add(cursor, shr(3, bits))
            }
        }
        if (cursor > end) revert Reader.Truncated();

        // Call flags: 0x01 to self, 0x02 value, 0x04 data, 0x08 gas limit, 0x10 delegate call, 0x20 only as
        // fallback, 0xc0 behaviour on error.
        // Plain equivalent: `payload.calls = new Call[](count)`, for each call the fields that its flags
        // announce, in this order, each compared with the end, and in the end `body = structHash(payload)`.
        // Here no empty calls are made first; a call's fields are all read, then compared with the end once,
        // and the data is copied after that. A call in memory is preceded by its type and has, for the moment,
        // its data's hash in place of the pointer to it: these words are what is hashed. What goes wrong ends
        // the loop: 1 if the end was passed, or the flags without meaning.
        uint256 fault;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(add(payload, 0x40), free)
            mstore(free, count)
            let size := shl(5, count)
            let place := add(free, 0x20)
            let hashes := add(place, size)
            free := add(hashes, size)
            for {} lt(place, hashes) { place := add(place, 0x20) } {
                flags := byte(0, calldataload(cursor))
                // Behaviour 3 would let a failed call count as a successful one.
                if or(iszero(lt(cursor, end)), gt(flags, 0xbf)) {
                    fault := 1
                    if lt(cursor, end) { fault := flags }
                    break
                }
                mstore(free, CALL_TYPE)
                // Zeros, from behind the calldata, for the six fields after the first.
                calldatacopy(add(free, 0x40), calldatasize(), 0xc0)

                mstore(add(free, 0x20), shr(96, calldataload(add(cursor, 1))))
                cursor := add(cursor, 21)
                if and(flags, 0x01) {
                    mstore(add(free, 0x20), address())
                    cursor := sub(cursor, 20)
                }
                if and(flags, 0x02) {
                    mstore(add(free, 0x40), calldataload(cursor))
                    cursor := add(cursor, 32)
                }
                let length := and(shr(2, flags), 1)
                let data := add(cursor, mul(3, length))
                length := mul(length, shr(232, calldataload(cursor)))
                cursor := add(data, length)
                if and(flags, 0x38) {
                    if and(flags, 0x08) {
                        mstore(add(free, 0x80), calldataload(cursor))
                        cursor := add(cursor, 32)
                    }
                    mstore(add(free, 0xa0), and(shr(4, flags), 1))
                    mstore(add(free, 0xc0), and(shr(5, flags), 1))
                }
                mstore(add(free, 0xe0), shr(6, flags))
                if gt(cursor, end) {
                    fault := 1
                    break
                }
                let copy := add(free, 0x120)
                mstore(sub(copy, 0x20), length)
                calldatacopy(copy, data, length)
                mstore(add(free, 0x60), keccak256(copy, length))
                mstore(add(place, size), keccak256(free, 0x100))
                mstore(add(free, 0x60), sub(copy, 0x20))
                mstore(place, add(free, 0x20))
                free := and(add(add(copy, length), 0x1f), not(0x1f))
            }
            mstore(0x40, free)
            mstore(free, CALLS_TYPE)
            mstore(add(free, 0x20), keccak256(hashes, size))
            mstore(add(free, 0x40), mload(add(payload, 0x60)))
            mstore(add(free, 0x60), mload(add(payload, 0x80)))
            mstore(add(free, 0x80), NO_WALLETS)
            body := keccak256(free, 0xa0)
        }
        if (fault != 0) {
            if (fault == 1) revert Reader.Truncated();
            revert InvalidPackedFlag(fault);
        }
        if (cursor != end) revert InvalidPackedLength();
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
        return hashOf(structHash(payload), payload.noChainId, wallet);
    }

    /// @notice The EIP-712 hash from the struct hash.
    function hashOf(bytes32 body, bool noChainId, address wallet) internal view returns (bytes32 result) {
        // Plain equivalent:
        //   uint256 chainId = noChainId ? 0 : block.chainid;
        //   bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, NAME, VERSION, chainId, wallet));
        //   result = keccak256(abi.encodePacked(hex"1901", domain, body));
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, DOMAIN_TYPE)
            mstore(add(free, 0x20), NAME)
            mstore(add(free, 0x40), VERSION)
            mstore(add(free, 0x60), mul(chainid(), iszero(noChainId)))
            mstore(add(free, 0x80), shr(96, shl(96, wallet)))
            mstore(add(free, 0x20), keccak256(free, 0xa0))
            mstore(free, 0x1901)
            mstore(add(free, 0x40), body)
            result := keccak256(add(free, 0x1e), 0x42)
        }
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
