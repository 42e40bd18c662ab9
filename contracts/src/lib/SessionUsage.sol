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

    /// @notice All session keys, in the order in which they were first met.
    struct Ledger {
        Entry[] entries;
    }

    /// @notice The entry of `signer`, made when it is first met.
    function entry(Ledger memory ledger, address signer, mapping(bytes32 => uint256) storage stored)
        internal
        view
        returns (Entry memory result)
    {
        Entry[] memory entries = ledger.entries;
        uint256 count = entries.length;
        for (uint256 i; i < count; ++i) {
            if (entries[i].signer == signer) return entries[i];
        }
        result.signer = signer;
        result.value = stored[valueHash(signer)];
        Entry[] memory longer = new Entry[](count + 1);
        for (uint256 i; i < count; ++i) {
            longer[i] = entries[i];
        }
        longer[count] = result;
        ledger.entries = longer;
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
    function totals(Ledger memory ledger) internal pure returns (UsageLimit[] memory limits) {
        uint256 count;
        for (uint256 i; i < ledger.entries.length; ++i) {
            count += ledger.entries[i].rules.length + (ledger.entries[i].value == 0 ? 0 : 1);
        }
        limits = new UsageLimit[](count);
        count = 0;
        for (uint256 i; i < ledger.entries.length; ++i) {
            Entry memory current = ledger.entries[i];
            for (uint256 j; j < current.rules.length; ++j) {
                limits[count++] = current.rules[j];
            }
            if (current.value != 0) limits[count++] = UsageLimit(valueHash(current.signer), current.value);
        }
    }

    /// @notice The key of the coin that `signer` has sent.
    function valueHash(address signer) internal pure returns (bytes32) {
        return keccak256(abi.encode(signer, VALUE));
    }
}
