// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {IWallet} from "./IWallet.sol";
import {Hook} from "./Mocks.sol";

interface IReceivers {
    function onERC721Received(address, address, uint256, bytes calldata) external returns (bytes4);
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external returns (bytes4);
    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        returns (bytes4);
    function tokensReceived(address, address, address, uint256, bytes calldata, bytes calldata) external;
    function tokenReceived(address, uint256, bytes calldata) external returns (bytes4);
}

contract HooksTest is Base {
    Hook private hook;

    function setUp() public override {
        super.setUp();
        hook = new Hook();
    }

    function add(bytes4 selector, address implementation) private {
        executeSingle(list(call(address(single), abi.encodeCall(single.addHook, (selector, implementation)))));
    }

    function test_a_hook_answers_as_the_wallet() external {
        add(Hook.whoAmI.selector, address(hook));
        same(single.readHook(Hook.whoAmI.selector), address(hook), "hook");
        same(Hook(address(single)).whoAmI(), address(single), "answer");
    }

    function test_a_refusing_hook_reverts_with_its_reason() external {
        add(Hook.refuse.selector, address(hook));
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "hook refuses"));
        Hook(address(single)).refuse();
    }

    function test_a_removed_hook_is_silent() external {
        add(Hook.whoAmI.selector, address(hook));
        bytes memory remove = abi.encodeCall(single.removeHook, (Hook.whoAmI.selector));
        executeSingle(list(call(address(single), remove)));
        (bool success, bytes memory out) = address(single).call(abi.encodeCall(hook.whoAmI, ()));
        check(success && out.length == 0, "answered");
    }

    function test_hooks_are_not_replaced_and_not_removed_twice() external {
        add(Hook.whoAmI.selector, address(hook));
        vm.prank(address(single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.HookAlreadyExists.selector, Hook.whoAmI.selector));
        single.addHook(Hook.whoAmI.selector, address(1));
        vm.prank(address(single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.HookDoesNotExist.selector, Hook.refuse.selector));
        single.removeHook(Hook.refuse.selector);
    }

    function test_only_the_wallet_manages_hooks() external {
        bytes memory error_ = abi.encodeWithSelector(IWallet.OnlySelf.selector, address(this));
        vm.expectRevert(error_);
        single.addHook(Hook.whoAmI.selector, address(hook));
        vm.expectRevert(error_);
        single.removeHook(Hook.whoAmI.selector);
    }

    function test_tokens_that_ask_are_accepted() external {
        IReceivers wallet = IReceivers(address(single));
        uint256[] memory none = new uint256[](0);
        check(wallet.onERC721Received(owner, owner, 1, "") == 0x150b7a02, "ERC-721");
        check(wallet.onERC1155Received(owner, owner, 1, 1, "") == 0xf23a6e61, "ERC-1155");
        check(wallet.onERC1155BatchReceived(owner, owner, none, none, "") == 0xbc197c81, "ERC-1155 batch");
        check(wallet.tokenReceived(owner, 1, "") == 0x8943ec02, "ERC-223");
        wallet.tokensReceived(owner, owner, owner, 1, "", "");
    }

    function test_short_and_empty_calls_succeed_silently() external {
        (bool success, bytes memory out) = address(single).call(hex"0102");
        check(success && out.length == 0, "short");
        (success, out) = address(single).call("");
        check(success && out.length == 0, "empty");
    }
}
