// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Storage} from "../lib/Storage.sol";
import {SelfAuth} from "./SelfAuth.sol";

/// @title Hooks
/// @notice Lets a wallet answer further functions, and receive tokens that ask before they come.
///
/// WARNING: a hook runs as the wallet, for whoever calls. A function that nobody answers succeeds and
/// returns nothing, as the format wants it: success of an unknown call means nothing.
abstract contract Hooks is SelfAuth {
    // ─── Errors and events ──────────────────────────────────────────────────────────────────────────

    /// @notice The function has a hook.
    error HookAlreadyExists(bytes4 selector);
    /// @notice The function has no hook.
    error HookDoesNotExist(bytes4 selector);

    /// @notice A hook was set, or removed (address zero).
    event DefinedHook(bytes4 selector, address implementation);

    /// @dev keccak256("org.arcadeum.module.hooks.hooks")
    bytes32 private constant HOOKS = 0xbe27a319efc8734e89e26ba4bc95f5c788584163b959f03fa04e2d7ab4b9a120;

    // ─── Managing ───────────────────────────────────────────────────────────────────────────────────

    /// @notice The contract that answers a function; zero for none.
    function readHook(bytes4 selector) public view returns (address) {
        return address(uint160(uint256(Storage.readMap(HOOKS, bytes32(selector)))));
    }

    /// @notice Has `implementation` answer a function. Built-in functions cannot be replaced.
    function addHook(bytes4 selector, address implementation) external payable onlySelf {
        if (readHook(selector) != address(0)) revert HookAlreadyExists(selector);
        _writeHook(selector, implementation);
    }

    /// @notice Removes a hook.
    function removeHook(bytes4 selector) external payable onlySelf {
        if (readHook(selector) == address(0)) revert HookDoesNotExist(selector);
        _writeHook(selector, address(0));
    }

    function _writeHook(bytes4 selector, address implementation) private {
        Storage.writeMap(HOOKS, bytes32(selector), bytes32(uint256(uint160(implementation))));
        emit DefinedHook(selector, implementation);
    }

    // ─── Receiving ──────────────────────────────────────────────────────────────────────────────────
    //
    // ERC-777 tokens are accepted too: `tokensReceived` returns nothing, which is what the fallback does.

    /// @notice Accepts an ERC-721 token.
    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return Hooks.onERC721Received.selector;
    }

    /// @notice Accepts an ERC-1155 token.
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external pure returns (bytes4) {
        return Hooks.onERC1155Received.selector;
    }

    /// @notice Accepts ERC-1155 tokens.
    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        return Hooks.onERC1155BatchReceived.selector;
    }

    /// @notice Accepts ERC-223 tokens.
    function tokenReceived(address, uint256, bytes calldata) external pure returns (bytes4) {
        return Hooks.tokenReceived.selector;
    }

    /// @notice Accepts the chain's own coin.
    receive() external payable {}

    /// @notice Passes unknown functions to their hook.
    fallback() external payable {
        if (msg.data.length < 4) return;
        address hook = readHook(msg.sig);
        if (hook == address(0)) return;
        // Plain equivalent: `hook.delegatecall(msg.data)`, returning or reverting with what it returned,
        // which Solidity cannot express from a function without declared results.
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let success := delegatecall(gas(), hook, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(success) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }
}
