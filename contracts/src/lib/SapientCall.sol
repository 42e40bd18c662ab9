// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ISapient} from "../interfaces/ISapient.sol";
import {Payload} from "./Payload.sol";

/// @title SapientCall
/// @notice Shows a payload and a signature to the contract that signs.
///
/// WARNING: what it answers is a root that it may have made up. Only as a part of the image hash does it count.
library SapientCall {
    /// @notice Asks a signer that wants to see the payload, and returns the root that it answers with.
    function ask(Payload.Decoded memory payload, address signer, bytes calldata data)
        internal
        view
        returns (bytes32 imageHash)
    {
        if (payload.message.length | payload.parentWallets.length != 0) {
            return ISapient(signer).recoverSapientSignature(payload, data);
        }
        uint256 selector = uint32(ISapient.recoverSapientSignature.selector);
        // Every call by a session pays for this; encoding in Solidity goes through each field by itself, at three
        // times the cost. Plain equivalent, with the same bytes: what is above, for payloads without message and
        // parent wallets.
        // A payload is nine words, a call seven: copied at once, then offsets put in the places of pointers.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, shl(224, selector))
            let start := add(free, 0x04)
            mstore(start, 0x40)
            let words := add(start, 0x40)
            mcopy(words, payload, 0x120)
            mstore(add(words, 0x40), 0x120)

            let calls := mload(add(payload, 0x40))
            let size := shl(5, mload(calls))
            let place := add(words, 0x120)
            mstore(place, mload(calls))
            place := add(place, 0x20)
            let next := add(place, size)
            for { let i := 0 } lt(i, size) { i := add(i, 0x20) } {
                mstore(add(place, i), sub(next, place))
                let call_ := mload(add(add(calls, 0x20), i))
                mcopy(next, call_, 0xe0)
                call_ := mload(add(call_, 0x40))
                mstore(add(next, 0x40), 0xe0)
                next := add(next, 0xe0)
                let length := add(mload(call_), 0x20)
                let last := add(next, and(add(length, 0x1f), not(0x1f)))
                mcopy(next, call_, length)
                // Zeros where the data does not fill its last word.
                mstore(add(next, length), 0)
                next := last
            }
            // No message and no parent wallets.
            mstore(add(words, 0xa0), sub(next, words))
            mstore(next, 0)
            next := add(next, 0x20)
            mstore(add(words, 0x100), sub(next, words))
            mstore(next, 0)
            next := add(next, 0x20)
            // The signature.
            mstore(add(start, 0x20), sub(next, start))
            mstore(next, data.length)
            next := add(next, 0x20)
            let last := add(next, and(add(data.length, 0x1f), not(0x1f)))
            // The word after the last byte: zeros where the signature does not fill its last word.
            mstore(add(next, data.length), 0)
            calldatacopy(next, data.offset, data.length)

            let success := staticcall(gas(), signer, free, sub(last, free), 0x00, 0x20)
            if iszero(success) {
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
            if lt(returndatasize(), 0x20) { revert(0x00, 0x00) }
            imageHash := mload(0x00)
        }
    }
}
