// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IWallet} from "./IWallet.sol";
import {Vm} from "./Vm.sol";

contract StagesTest is Base {
    using Format for Decoded;

    function updateTo(bytes32 image) private {
        executeSingle(list(call(address(single), abi.encodeCall(single.updateImageHash, (image)))));
    }

    function test_an_update_changes_the_configuration_and_the_stage() external {
        same(single.getImplementation(), stage1, "stage 1");
        vm.recordLogs();
        updateTo(singleImage(guard));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        check(logs[1].topics[0] == IWallet.ImageHashUpdated.selector, "event of the update");
        check(logs[2].topics[0] == IWallet.ImplementationUpdated.selector, "event of the stage");
        check(bytes4(IWallet.ImageHashUpdated.selector) == 0x307ed6bd, "published topic");
        same(single.getImplementation(), stage2, "stage 2");
        same(single.imageHash(), singleImage(guard), "image hash");

        Decoded memory payload = transferPayload(single);
        bytes memory old = signSingle(OWNER, hashOf(payload, single));
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        single.execute(payload.pack(), old);
        single.execute(payload.pack(), signSingle(GUARD, hashOf(payload, single)));
        same(received(), 100, "received");
    }

    function test_stage_2_updates_again() external {
        updateTo(singleImage(guard));
        Call memory only = call(address(single), abi.encodeCall(single.updateImageHash, (singleImage(owner))));
        Decoded memory payload = Format.calls(list(only), 0, 1);
        single.execute(payload.pack(), signSingle(GUARD, hashOf(payload, single)));
        same(single.imageHash(), singleImage(owner), "image hash");
        executeSingle(list(transfer(address(0x77), 1)));
        same(received(), 1, "received");
    }

    function test_a_chained_update_executes_without_a_transaction_of_its_own() external {
        bytes32 next = Format.image(Format.signer(guard, 1), 1, 1, address(0));
        Decoded memory payload = transferPayload(single);
        bytes memory newest = abi.encodePacked(hex"040101", signed(GUARD, hashOf(payload, single)));
        bytes32 update = Format.update(next).hash(address(single), 0);
        bytes memory oldest = abi.encodePacked(hex"0201", signed(OWNER, update));
        single.execute(payload.pack(), bytes.concat(hex"01", Format.link(newest), Format.link(oldest)));
        same(received(), 100, "received");
        same(single.getImplementation(), stage1, "nothing was stored");
    }

    function test_refuses_image_hash_zero() external {
        vm.prank(address(single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.ImageHashIsZero.selector));
        single.updateImageHash(0);
    }

    function test_only_the_wallet_updates_itself() external {
        bytes memory error_ = abi.encodeWithSelector(IWallet.OnlySelf.selector, address(this));
        vm.expectRevert(error_);
        single.updateImageHash(singleImage(guard));
        vm.expectRevert(error_);
        single.updateImplementation(stage2);
    }

    function test_refuses_an_implementation_without_code() external {
        vm.prank(address(single));
        vm.expectRevert(abi.encodeWithSelector(IWallet.ImplementationHasNoCode.selector, address(0x99)));
        single.updateImplementation(address(0x99));
    }

    function test_stage_2_without_a_stored_image_accepts_nothing() external {
        vm.prank(address(single));
        single.updateImplementation(stage2);
        Decoded memory payload = transferPayload(single);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        single.execute(payload.pack(), signature);
    }

    function test_selectors_are_the_published_ones() external pure {
        check(IWallet.execute.selector == 0x1f6a1eb9, "execute");
        check(IWallet.selfExecute.selector == 0x6ea44577, "selfExecute");
        check(IWallet.readNonce.selector == 0x8c3f5563, "readNonce");
        check(IWallet.recoverSapientSignature.selector == 0x13792a4a, "recoverSapientSignature");
        check(IWallet.recoverPartialSignature.selector == 0xad55366b, "recoverPartialSignature");
        check(IWallet.updateImageHash.selector == 0x29561426, "updateImageHash");
        check(IWallet.imageHash.selector == 0x51605d80, "imageHash");
        check(IWallet.updateImplementation.selector == 0x025b22bc, "updateImplementation");
        check(IWallet.getImplementation.selector == 0xaaf10f42, "getImplementation");
        check(IWallet.addHook.selector == 0xb93ea7ad, "addHook");
        check(IWallet.removeHook.selector == 0x4fcf3eca, "removeHook");
        check(IWallet.readHook.selector == 0x1a9b2337, "readHook");
        check(IWallet.isValidSignature.selector == 0x1626ba7e, "isValidSignature");
        check(IWallet.setStaticSignature.selector == 0xf727ef1c, "setStaticSignature");
        check(IWallet.getStaticSignature.selector == 0x92dcb3fc, "getStaticSignature");
        check(IWallet.validateUserOp.selector == 0x19822f7c, "validateUserOp");
        check(IWallet.executeUserOp.selector == 0x9c145aed, "executeUserOp");
        check(IWallet.executeCompact.selector == 0x46f755a6, "executeCompact");
    }

    /// @dev Any configuration: afterwards it and no other is the wallet's.
    function testFuzz_an_update_is_stored_as_it_is(bytes32 image, bytes32 other) external {
        if (image == 0) image = keccak256("none");
        updateTo(image);
        same(single.imageHash(), image, "image hash");
        same(single.getImplementation(), stage2, "stage 2");
        Decoded memory payload = transferPayload(single);
        bytes memory old = signSingle(OWNER, hashOf(payload, single));
        vm.expectPartialRevert(IWallet.InvalidSignature.selector);
        single.execute(payload.pack(), old);
        vm.expectRevert(abi.encodeWithSelector(IWallet.OnlySelf.selector, address(this)));
        single.updateImageHash(other);
    }

    /// @dev Stage 1 knows its configuration by its address alone.
    function testFuzz_stage_1_takes_its_own_configuration_only(uint256 key, bytes32 checkpoint) external {
        key = key % 2 ** 200 + 1;
        uint256 number = uint256(checkpoint) >> 232;
        bytes32 image = Format.image(Format.signer(vm.addr(key), 1), 1, number, address(0));
        IWallet wallet = IWallet(factory.deploy(stage1, image));
        bytes32 text = keccak256("text");
        bytes32 hash = hashOf(Format.digest(text), wallet);
        bytes memory right = abi.encodePacked(hex"0c", uint24(number), hex"01", signed(key, hash));
        check(wallet.isValidSignature(text, right) == 0x1626ba7e, "refused");
        bytes memory next = abi.encodePacked(hex"0c", uint24(number ^ 1), hex"01", signed(key, hash));
        check(wallet.isValidSignature(text, next) == 0, "another checkpoint");
        bytes memory stranger = abi.encodePacked(hex"0c", uint24(number), hex"01", signed(key + 1, hash));
        check(wallet.isValidSignature(text, stranger) == 0, "another key");
    }
}
