// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {UsageLimit} from "../interfaces/ISessions.sol";

/// @title SessionUsage
/// @notice What the sessions of one payload have used so far, on top of what is stored.
library SessionUsage {
    /// @dev Stands for coin where a limit's key has a token or rule.
    address internal constant VALUE = 0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE;

    /// @notice One session key. Amounts are absolute totals.
    struct Entry {
        address signer;
        /// Wei sent, stored usage included.
        uint256 value;
        /// Cumulative rules, in the order in which they were first met.
        UsageLimit[] rules;
    }

    /// @notice Room for as many session keys as there are calls, and none of them yet.
    function open(uint256 calls) internal pure returns (Entry[] memory ledger) {
        // Plain equivalent: `ledger = new Entry[](calls)`, with an empty entry in each place and a count beside
        // it. Here the length is the count, and a place is written before it is read.
        assembly ("memory-safe") {
            ledger := mload(0x40)
            mstore(0x40, add(ledger, shl(5, add(calls, 1))))
            mstore(ledger, 0)
        }
    }

    /// @notice The entry of `signer`, made when it is first met; a call has one signer.
    function entry(Entry[] memory ledger, address signer, mapping(bytes32 => uint256) storage stored)
        internal
        view
        returns (Entry memory result)
    {
        unchecked {
            uint256 count = ledger.length;
            for (uint256 i; i != count; ++i) {
                if (ledger[i].signer == signer) return ledger[i];
            }
            uint256 value = stored[valueHash(signer)];
            // `open` has made room. 0x60 is where Solidity keeps an array without items. Plain equivalent:
            //   ledger.push(Entry(signer, value, new UsageLimit[](0)));
            assembly ("memory-safe") {
                mstore(ledger, add(count, 1))
                result := mload(0x40)
                mstore(0x40, add(result, 0x60))
                mstore(add(ledger, shl(5, add(count, 1))), result)
                mstore(result, shr(96, shl(96, signer)))
                mstore(add(result, 0x20), value)
                mstore(add(result, 0x40), 0x60)
            }
        }
    }

    /// @notice Adds to the total of a rule and returns it.
    function add(Entry memory self, bytes32 usageHash, uint256 amount, mapping(bytes32 => uint256) storage stored)
        internal
        view
        returns (uint256)
    {
        UsageLimit[] memory rules = self.rules;
        uint256 count = rules.length;
        for (uint256 i; i < count; ++i) {
            if (rules[i].usageHash == usageHash) {
                // What came to zero within the payload starts from what is stored, as the format has it; which
                // is zero too, since totals start there.
                return rules[i].usageAmount += amount;
            }
        }
        UsageLimit[] memory longer = new UsageLimit[](count + 1);
        for (uint256 i; i < count; ++i) {
            longer[i] = rules[i];
        }
        longer[count] = UsageLimit(usageHash, stored[usageHash] + amount);
        self.rules = longer;
        return longer[count].usageAmount;
    }

    /// @notice What must be counted: for each key its rules, then its coin if any was ever sent.
    function totals(Entry[] memory ledger) internal pure returns (UsageLimit[] memory limits) {
        uint256 count;
        for (uint256 i; i < ledger.length; ++i) {
            count += ledger[i].rules.length + (ledger[i].value == 0 ? 0 : 1);
        }
        limits = new UsageLimit[](count);
        count = 0;
        for (uint256 i; i < ledger.length; ++i) {
            Entry memory current = ledger[i];
            for (uint256 j; j < current.rules.length; ++j) {
                limits[count++] = current.rules[j];
            }
            if (current.value != 0) limits[count++] = UsageLimit(valueHash(current.signer), current.value);
        }
    }

    /// @notice The key of the coin that `signer` has sent.
    function valueHash(address signer) internal pure returns (bytes32 result) {
        // In the scratch space. Plain equivalent: `keccak256(abi.encode(signer, VALUE))`.
        assembly ("memory-safe") {
            mstore(0x00, shr(96, shl(96, signer)))
            mstore(0x20, VALUE)
            result := keccak256(0x00, 0x40)
        }
    }
}
