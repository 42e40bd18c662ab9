// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {IFactory, IWallet} from "./IWallet.sol";

contract FactoryWrapperTest is Base {
    address private constant CREATOR_V07 = 0xEFC2c1444eBCC4Db75e7613d20C6a62fF67A167C;
    address private constant CREATOR_V08 = 0x449ED7C3e6Fee6a97311d4b55475DF59C44AdD33;

    IFactory[2] private wrappers;

    function setUp() public override {
        super.setUp();
        string memory deployments = vm.readFile("deployments.json");
        wrappers[0] = IFactory(deploy(deployments, 6, "FactoryWrapper"));
        wrappers[1] = IFactory(deploy(deployments, 7, "FactoryWrapper"));
    }

    function creator(uint256 index) private pure returns (address) {
        return index == 0 ? CREATOR_V07 : CREATOR_V08;
    }

    function test_the_sender_creators_are_the_entry_points_first_contracts() external pure {
        bytes memory v07 = abi.encodePacked(hex"d694", address(0x0000000071727De22E5E9d8BAf0edAc6f37da032), hex"01");
        bytes memory v08 = abi.encodePacked(hex"d694", address(0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108), hex"01");
        same(address(uint160(uint256(keccak256(v07)))), CREATOR_V07, "v0.7");
        same(address(uint160(uint256(keccak256(v08)))), CREATOR_V08, "v0.8");
    }

    function test_deploys_where_the_factory_does_and_only_once() external {
        for (uint256 i; i < 2; ++i) {
            bytes32 image = singleImage(vm.addr(100 + i));
            vm.deal(creator(i), 5);
            vm.prank(creator(i));
            address wallet = wrappers[i].deploy{value: 5}(stage1, image);
            same(wallet.code.length, 33, "code");
            same(wallet.balance, 5, "coin");
            vm.prank(creator(i));
            same(wrappers[i].deploy(stage1, image), wallet, "again");
            vm.expectRevert(abi.encodeWithSelector(IWallet.DeployFailed.selector, stage1, image));
            factory.deploy(stage1, image);
        }
    }

    function test_nobody_else_deploys() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.NotSenderCreator.selector, address(this)));
        wrappers[0].deploy(stage1, singleImage(guard));
        vm.prank(CREATOR_V08);
        vm.expectRevert(abi.encodeWithSelector(IWallet.NotSenderCreator.selector, CREATOR_V08));
        wrappers[0].deploy(stage1, singleImage(guard));
    }

    function testFuzz_whoever_it_is_only_the_sender_creator_deploys(address sender, bytes32 image, bool which) external {
        IFactory wrapper = wrappers[which ? 1 : 0];
        vm.assume(sender != creator(which ? 1 : 0));
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(IWallet.NotSenderCreator.selector, sender));
        wrapper.deploy(stage1, image);
        vm.prank(creator(which ? 1 : 0));
        address wallet = wrapper.deploy(stage1, image);
        vm.expectRevert(abi.encodeWithSelector(IWallet.DeployFailed.selector, stage1, image));
        factory.deploy(stage1, image);
        same(wallet.code.length, 33, "code");
    }
}
