// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ParameterOperation, ParameterRule, Permission} from "../interfaces/ISessions.sol";
import {SessionTree} from "./SessionTree.sol";

/// @title SessionRules
/// @notice Reads the permissions of one session key, and judges a call's data by a rule.
///
/// WARNING: a permission without rules leaves its whole target open.
library SessionRules {
    /// @notice The permissions of one session key; `permissions` is where the first begins in calldata.
    struct Session {
        uint256 chainId;
        uint256 valueLimit;
        uint256 deadline;
        uint256 count;
        uint256 permissions;
    }

    /// @notice Reads the head of permissions that `SessionTree` found, and so checked to be there.
    function session(uint256 position) internal pure returns (Session memory head) {
        head.chainId = _word(position);
        head.valueLimit = _word(position + 32);
        head.deadline = _word(position + 64) >> 192;
        head.count = _word(position + 72) >> 248;
        head.permissions = position + 73;
    }

    /// @notice Reads one permission; `index` is below `head.count`.
    function permission(Session memory head, uint256 index) internal pure returns (Permission memory result) {
        uint256 position = head.permissions;
        for (uint256 i; i < index; ++i) {
            position += 21 + SessionTree.RULE * (_word(position + 20) >> 248);
        }
        result.target = address(uint160(_word(position) >> 96));
        uint256 count = _word(position + 20) >> 248;
        result.rules = new ParameterRule[](count);
        position += 21;
        for (uint256 i; i < count; ++i) {
            ParameterRule memory rule = result.rules[i];
            uint256 flags = _word(position) >> 248;
            rule.cumulative = flags & 1 != 0;
            rule.operation = ParameterOperation(flags >> 1);
            rule.value = bytes32(_word(position + 1));
            rule.offset = _word(position + 33);
            rule.mask = bytes32(_word(position + 65));
            position += SessionTree.RULE;
        }
    }

    /// @notice The masked word of a call's data, and whether the data has all that the mask looks at.
    /// @dev A word may reach past the end where the mask hides it: a selector alone is four bytes.
    function parameter(ParameterRule memory rule, bytes calldata data)
        internal
        pure
        returns (bool there, uint256 value)
    {
        if (rule.offset >= data.length) return (false, 0);
        uint256 length = data.length - rule.offset;
        if (length < 32 && uint256(rule.mask) << 8 * length != 0) return (false, 0);
        bytes calldata word = data[rule.offset:];
        return (true, uint256(bytes32(word) & rule.mask));
    }

    /// @notice Compares, as unsigned integers.
    function holds(ParameterRule memory rule, uint256 value) internal pure returns (bool) {
        uint256 expected = uint256(rule.value);
        if (rule.operation == ParameterOperation.EQUAL) return value == expected;
        if (rule.operation == ParameterOperation.NOT_EQUAL) return value != expected;
        if (rule.operation == ParameterOperation.GREATER_THAN_OR_EQUAL) return value >= expected;
        return value <= expected;
    }

    /// @dev `SessionTree` has checked that the permissions it found lie within the tree.
    function _word(uint256 position) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(position)
        }
    }
}
