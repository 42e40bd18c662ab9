// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Payload} from "./Payload.sol";

/// @title SessionCalls
/// @notice Hashes a payload of calls where it stands in calldata, and checks what no session may do. Every
/// transaction by a session pays for this, and copying the payload to memory costs several times as much.
///
/// WARNING: the hash is equal to `Payload.hashFor` for payloads of calls, and for no others. The kind is the
/// caller's to check.
library SessionCalls {
    // ─── Errors ─────────────────────────────────────────────────────────────────────────────────────

    /// @notice A session cannot run code as the wallet.
    error InvalidDelegateCall();
    /// @notice A session cannot call the wallet.
    error InvalidSelfCall();
    /// @notice A session cannot end a payload halfway as if it had succeeded.
    error InvalidBehavior();
    /// @notice A session signs for its own wallet only: what it spends is counted by a call of the wallet that
    /// executes, which would be another.
    error InvalidParentWallets();

    // ─── All calls ──────────────────────────────────────────────────────────────────────────────────

    /// @notice The EIP-712 hash for `wallet`, on this chain unless the payload counts on all; how many calls there
    /// are, and where they are listed.
    /// @dev Refuses what is not the ABI's form: offsets and lengths that lead beyond calldata, addresses and
    /// booleans with bits that they cannot have.
    function read(Payload.Decoded calldata payload, address wallet)
        internal
        view
        returns (bytes32 hash, uint256 list, uint256 count)
    {
        bytes32 all;
        bytes32 wallets = Payload.NO_WALLETS; // of no parent
        bytes32 type_ = Payload.CALL_TYPE;
        uint256 fault;
        uint256 parents;
        // A call is seven words in calldata, in the order in which they are hashed: copied at once, with the data's
        // hash in the place of the pointer to it. Its hash goes to where those of all calls are collected. Plain
        // equivalent, with what the ABI checks in `fault`:
        //   Payload.Call[] calldata calls = payload.calls;
        //   bytes32[] memory hashes = new bytes32[](calls.length);
        //   for (uint256 i; i < calls.length; ++i) {
        //       if (calls[i].delegateCall) revert InvalidDelegateCall();
        //       if (calls[i].to == wallet) revert InvalidSelfCall();
        //       if (calls[i].behaviorOnError == Payload.BEHAVIOR_ABORT) revert InvalidBehavior();
        //       hashes[i] = keccak256(abi.encode(Payload.CALL_TYPE, to, value, keccak256(data), gasLimit,
        //           delegateCall, onlyFallback, behaviorOnError));
        //   }
        //   all = keccak256(abi.encodePacked(hashes));
        //   if (payload.parentWallets.length != 0) revert InvalidParentWallets();
        assembly ("memory-safe") {
            let offset := calldataload(add(payload, 0x100))
            parents := calldataload(add(payload, offset))
            fault := or(shr(64, offset), gt(add(add(payload, offset), 0x20), calldatasize()))
            fault := or(fault, gt(calldataload(add(payload, 0x20)), 1))

            offset := calldataload(add(payload, 0x40))
            list := add(payload, offset)
            count := calldataload(list)
            list := add(list, 0x20)
            let size := shl(5, count)
            fault := or(fault, or(shr(64, or(offset, count)), gt(add(list, size), calldatasize())))
            if fault { size := 0 }

            let hashes := mload(0x40)
            let free := add(hashes, size)
            for { let i := 0 } lt(i, size) { i := add(i, 0x20) } {
                offset := calldataload(add(list, i))
                let item := add(list, offset)
                let inner := calldataload(add(item, 0x40))
                let data_ := add(add(item, inner), 0x20)
                let length := calldataload(sub(data_, 0x20))
                fault := or(fault, shr(64, or(or(offset, inner), length)))
                fault := or(fault, gt(add(item, 0xe0), calldatasize()))
                if or(fault, gt(add(data_, length), calldatasize())) {
                    fault := 1
                    break
                }
                calldatacopy(free, data_, length)
                inner := keccak256(free, length)
                mstore(free, type_)
                calldatacopy(add(free, 0x20), item, 0xe0)
                mstore(add(free, 0x60), inner)
                mstore(add(hashes, i), keccak256(free, 0x100))
                let to := mload(add(free, 0x20))
                // No delegate call, only as fallback or not, and no address above 160 bits.
                fault := or(fault, or(mload(add(free, 0xa0)), shr(1, mload(add(free, 0xc0)))))
                fault := or(fault, or(shr(160, to), or(eq(to, wallet), eq(mload(add(free, 0xe0)), 2))))
            }
            all := keccak256(hashes, size)
        }
        if (fault | parents != 0) _refuse(payload, wallet);
        type_ = Payload.CALLS_TYPE;
        bool noChainId;
        // Without the allocation that `abi.encode` makes. Plain equivalent:
        //   body = keccak256(abi.encode(Payload.CALLS_TYPE, all, payload.space, payload.nonce, wallets));
        //   noChainId = payload.noChainId;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, type_)
            mstore(add(free, 0x20), all)
            calldatacopy(add(free, 0x40), add(payload, 0x60), 0x40)
            mstore(add(free, 0x80), wallets)
            all := keccak256(free, 0xa0)
            noChainId := calldataload(add(payload, 0x20))
        }
        hash = Payload.hashOf(all, noChainId, wallet);
    }

    /// @dev Says what is wrong with the calls; something is.
    function _refuse(Payload.Decoded calldata payload, address wallet) private pure {
        // Reading reverts where it is not the ABI's form.
        if (payload.parentWallets.length != 0) revert InvalidParentWallets();
        Payload.Call[] calldata calls = payload.calls;
        for (uint256 i; i < calls.length; ++i) {
            if (calls[i].delegateCall) revert InvalidDelegateCall();
            if (calls[i].to == wallet) revert InvalidSelfCall();
            if (calls[i].behaviorOnError == Payload.BEHAVIOR_ABORT) revert InvalidBehavior();
        }
        revert();
    }

    // ─── One call ───────────────────────────────────────────────────────────────────────────────────
    //
    // `read` has read every call with all checks of the ABI. Reading them again leaves these out.

    /// @notice The call of this number.
    function get(uint256 list, uint256 index) internal pure returns (Payload.Call calldata item) {
        // Plain equivalent: `item = calls[index]`.
        assembly ("memory-safe") {
            item := add(list, calldataload(add(list, shl(5, index))))
        }
    }

    /// @notice Whom it calls, and with how much coin in wei.
    function target(Payload.Call calldata item) internal pure returns (address to, uint256 value) {
        // Plain equivalent: `(to, value) = (item.to, item.value)`.
        assembly ("memory-safe") {
            to := calldataload(item)
            value := calldataload(add(item, 0x20))
        }
    }

    /// @notice Where its data begins in calldata, and how long it is.
    function data(Payload.Call calldata item) internal pure returns (uint256 start, uint256 length) {
        // Plain equivalent: `bytes calldata data = item.data`.
        assembly ("memory-safe") {
            start := add(item, calldataload(add(item, 0x40)))
            length := calldataload(start)
            start := add(start, 0x20)
        }
    }
}
