// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Reader} from "./Reader.sol";
import {SessionTree} from "./SessionTree.sol";

/// @title SessionRules
/// @notice Reads the permissions of one session key, and judges a call's data by their rules.
/// @dev By positions in calldata, without copies: `SessionTree` has checked that all of a session that it found
/// lies within the tree. From a session's position: chain (32), wei (32), deadline (8), count (1), permissions.
/// Permission: target (20), count (1), rules. Rule: flags (1), value (32), offset (32), mask (32).
/// Flags: 1 cumulative, and above it 0 equal, 1 not equal, 2 at least, 3 at most.
///
/// WARNING: a permission without rules leaves its whole target open.
library SessionRules {
    // ─── Sessions ───────────────────────────────────────────────────────────────────────────────────

    /// @notice The chain that the session is for, zero for all, and whether it is not this one.
    function chain(uint256 session) internal view returns (uint256 chainId, bool wrong) {
        chainId = Reader.load(session);
        // Without branches. Plain equivalent: `wrong = chainId != 0 && chainId != block.chainid`.
        assembly ("memory-safe") {
            wrong := gt(chainId, mul(chainId, eq(chainId, chainid())))
        }
    }

    /// @notice How much coin the session may send in all, in wei.
    function valueLimit(uint256 session) internal pure returns (uint256) {
        unchecked {
            return Reader.load(session + 32);
        }
    }

    /// @notice The last second of the session, zero if it does not end, and whether it is over.
    function deadline(uint256 session) internal view returns (uint256 last, bool over) {
        unchecked {
            last = Reader.load(session + 64) >> 192;
        }
        // Without branches. Plain equivalent: `over = last != 0 && block.timestamp > last`.
        assembly ("memory-safe") {
            over := gt(mul(timestamp(), gt(last, 0)), last)
        }
    }

    /// @notice How many permissions it has.
    function count(uint256 session) internal pure returns (uint256) {
        unchecked {
            return Reader.load8(session + 72);
        }
    }

    // ─── Permissions ────────────────────────────────────────────────────────────────────────────────

    /// @notice Finds a permission; `index` is below the session's count.
    function permission(uint256 session, uint256 index) internal pure returns (uint256 position) {
        unchecked {
            position = session + 73;
            for (; index != 0; --index) {
                position += 21 + SessionTree.RULE * Reader.load8(position + 20);
            }
        }
    }

    /// @notice The contract that may be called, how many rules there are, and where the first is.
    function head(uint256 position) internal pure returns (address target, uint256 rules, uint256 first) {
        unchecked {
            target = address(uint160(Reader.load(position) >> 96));
            rules = Reader.load8(position + 20);
            first = position + 21;
        }
    }

    // ─── Rules ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice The masked word of a call's data, whether the data has all that the mask looks at, and whether the
    /// rule is about the total of all calls.
    /// @dev A word may reach past the end where the mask hides it: a selector alone is four bytes.
    function parameter(uint256 rule, uint256 data, uint256 length)
        internal
        pure
        returns (bool there, bool cumulative, uint256 value)
    {
        // Without branches. Plain equivalent:
        //   cumulative = flags & 1 != 0;
        //   if (offset >= length) return (false, cumulative, 0);
        //   uint256 left = length - offset;
        //   if (left < 32 && mask << 8 * left != 0) return (false, cumulative, 0);
        //   return (true, cumulative, load(data + offset) & mask);
        // Shifting by 256 bits or more leaves nothing.
        assembly ("memory-safe") {
            let offset := calldataload(add(rule, 33))
            let mask := calldataload(add(rule, 65))
            there := and(lt(offset, length), iszero(shl(shl(3, sub(length, offset)), mask)))
            value := and(calldataload(add(data, offset)), mask)
            cumulative := and(1, byte(0, calldataload(rule)))
        }
    }

    /// @notice Compares, as unsigned integers, what is there.
    function holds(uint256 rule, uint256 value, bool there) internal pure returns (bool result) {
        // As a switch. Plain equivalent:
        //   if (!there) return false;
        //   if (operation == EQUAL) return value == expected;
        //   if (operation == NOT_EQUAL) return value != expected;
        //   if (operation == GREATER_THAN_OR_EQUAL) return value >= expected;
        //   return value <= expected;
        assembly ("memory-safe") {
            let expected := calldataload(add(rule, 1))
            switch shr(249, calldataload(rule))
            case 0 { result := eq(value, expected) }
            case 1 { result := iszero(eq(value, expected)) }
            case 2 { result := iszero(lt(value, expected)) }
            default { result := iszero(gt(value, expected)) }
            result := and(result, there)
        }
    }

    /// @notice The key of what `signer` has used by one rule of a permission.
    /// @dev Plain equivalent: `keccak256(abi.encode(signer, permission, index))`, where a permission is
    /// `(address target, (bool cumulative, uint8 operation, bytes32 value, uint256 offset, bytes32 mask)[] rules)`.
    /// It is encoded from calldata directly: the same permission as a structure in memory costs thousands of gas.
    function usageHash(address signer, uint256 position, uint256 index) internal pure returns (bytes32 result) {
        (address target, uint256 rules, uint256 rule) = head(position);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, shr(96, shl(96, signer)))
            mstore(add(free, 0x20), 0x60)
            mstore(add(free, 0x40), index)
            mstore(add(free, 0x60), shr(96, shl(96, target)))
            mstore(add(free, 0x80), 0x40)
            mstore(add(free, 0xa0), rules)
            let next := add(free, 0xc0)
            for {} rules { rules := sub(rules, 1) } {
                let flags := byte(0, calldataload(rule))
                mstore(next, and(flags, 1))
                mstore(add(next, 0x20), shr(1, flags))
                calldatacopy(add(next, 0x40), add(rule, 1), 0x60)
                rule := add(rule, 97)
                next := add(next, 0xa0)
            }
            result := keccak256(free, sub(next, free))
        }
    }
}
