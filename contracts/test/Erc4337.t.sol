// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Decoded, IWallet, PackedUserOperation} from "./IWallet.sol";

/// @notice The part of an entry point that a wallet sees: it keeps deposits.
contract Deposits {
    mapping(address account => uint256 wei_) public deposits;

    function depositTo(address account) external payable {
        deposits[account] += msg.value;
    }
}

contract Erc4337Test is Base {
    using Format for Decoded;

    address private constant V07 = 0x0000000071727De22E5E9d8BAf0edAc6f37da032;
    address private constant V08 = 0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108;
    bytes32 private constant HASH = keccak256("operation");

    IWallet private wallet;

    function setUp() public override {
        super.setUp();
        string memory deployments = vm.readFile("deployments.json");
        deploy(deployments, 4, "Stage2");
        address stage = deploy(deployments, 5, "Stage1");
        vm.etch(V07, address(new Deposits()).code);
        vm.etch(V08, V07.code);
        wallet = IWallet(factory.deploy(stage, singleImage(owner)));
        token.mint(address(wallet), 1000);
        vm.deal(address(wallet), 10);
    }

    function operation(bytes memory signature) private view returns (PackedUserOperation memory op) {
        op.sender = address(wallet);
        op.signature = signature;
    }

    function approval(uint256 key) private view returns (bytes memory) {
        return signSingle(key, hashOf(Format.digest(HASH), wallet));
    }

    function test_both_entry_points_validate_and_execute() external {
        bytes memory packed = Format.calls(list(transfer(address(0x77), 7)), 0, 0).pack();
        for (uint256 i; i < 2; ++i) {
            address entryPoint = i == 0 ? V07 : V08;
            vm.prank(entryPoint);
            same(wallet.validateUserOp(operation(approval(OWNER)), HASH, 3), 0, "refused");
            same(Deposits(entryPoint).deposits(address(wallet)), 3, "deposit");
            vm.prank(entryPoint);
            wallet.executeUserOp(packed);
        }
        same(received(), 14, "received");
        same(wallet.readNonce(0), 0, "the wallet's nonces are not the entry point's");
    }

    function test_another_configuration_is_reported_not_reverted() external {
        vm.prank(V07);
        same(wallet.validateUserOp(operation(approval(STRANGER)), HASH, 0), 1, "accepted");
    }

    function test_another_operation_is_refused() external {
        vm.prank(V08);
        same(wallet.validateUserOp(operation(approval(OWNER)), keccak256("other"), 0), 1, "accepted");
    }

    function test_nobody_else_validates_or_executes() external {
        bytes memory error_ = abi.encodeWithSelector(IWallet.InvalidEntryPoint.selector, address(this));
        vm.expectRevert(error_);
        wallet.validateUserOp(operation(approval(OWNER)), HASH, 5);
        vm.expectRevert(error_);
        wallet.executeUserOp(hex"1142");
        // Not even the wallet itself.
        vm.prank(address(wallet));
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidEntryPoint.selector, address(wallet)));
        wallet.executeUserOp(hex"1142");
    }

    function test_wallets_without_erc4337_trust_no_entry_point() external {
        bytes memory error_ = abi.encodeWithSelector(IWallet.ERC4337Disabled.selector);
        vm.prank(V07);
        vm.expectRevert(error_);
        single.executeUserOp(hex"1142");
        vm.prank(V08);
        vm.expectRevert(error_);
        single.validateUserOp(operation(""), HASH, 0);
        vm.prank(address(0));
        (bool success,) = address(single).call(abi.encodeCall(single.executeUserOp, (hex"1142")));
        check(!success, "address zero is no entry point");
    }

    function test_an_operation_cannot_enter_again() external {
        bytes memory inner = Format.calls(list(transfer(address(0x77), 7)), 0, 0).pack();
        Reentering reentering = new Reentering();
        vm.etch(V07, address(reentering).code);
        Decoded memory outer =
            Format.calls(list(call(V07, abi.encodeCall(Reentering.enter, (wallet, inner)))), 0, 0);
        vm.prank(V07);
        vm.expectPartialRevert(IWallet.Reverted.selector);
        wallet.executeUserOp(outer.pack());
        same(received(), 0, "received");
    }

    function test_stage_2_keeps_the_entry_points() external {
        vm.prank(address(wallet));
        wallet.updateImageHash(singleImage(guard));
        vm.prank(V08);
        same(wallet.validateUserOp(operation(approval(GUARD)), HASH, 0), 0, "refused");
        vm.prank(V08);
        same(wallet.validateUserOp(operation(approval(OWNER)), HASH, 0), 1, "the old configuration was accepted");
    }

    function testFuzz_whoever_it_is_only_an_entry_point_validates(address sender, bytes32 hash, bool approved) external {
        vm.assume(sender != V07 && sender != V08);
        bytes memory signature = signSingle(approved ? OWNER : STRANGER, hashOf(Format.digest(hash), wallet));
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidEntryPoint.selector, sender));
        wallet.validateUserOp(operation(signature), hash, 0);
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidEntryPoint.selector, sender));
        wallet.executeUserOp(hex"1142");
        vm.prank(V07);
        same(wallet.validateUserOp(operation(signature), hash, 0), approved ? 0 : 1, "answer");
    }
}

contract Reentering {
    function enter(IWallet wallet, bytes calldata packed) external {
        wallet.executeUserOp(packed);
    }
}
