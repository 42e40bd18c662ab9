// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {IWallet} from "./IWallet.sol";

contract FactoryTest is Base {
    address private constant A = 0x1111111111111111111111111111111111111111;
    address private constant RC5_FACTORY = 0x00000000000018A77519fcCCa060c2537c9D6d3F;
    address private constant RC5_STAGE1 = 0x0000000000001f3C39d61698ab21131a12134454;
    bytes private constant PROXY =
        hex"363d3d373d363d30545af43d82803e903d91601f57fd5bf3";

    /// @dev Our factory's code at the address of Sequence's: the published wallet address must come out.
    function test_deploys_at_the_published_address() external {
        bytes32 image = singleImage(A);
        same(image, 0xc11cff97d1826a1599a0b6e75d583c8d1413d721bc3ab0b5808e3b57813f97ce, "image hash");
        vm.etch(RC5_FACTORY, address(factory).code);
        (, bytes memory out) = RC5_FACTORY.call(abi.encodeWithSelector(hex"32c02a14", RC5_STAGE1, image));
        same(abi.decode(out, (address)), 0x9216F3b1AB1A872Bed72da41d0832e285F8A7De6, "wallet address");
    }

    function test_wallet_is_the_33_byte_proxy() external view {
        bytes memory code = address(single).code;
        same(code.length, 33, "length");
        same(keccak256(code), keccak256(bytes.concat(hex"3d3d36153402601f57", PROXY)), "code");
    }

    function test_passes_coin_on() external {
        vm.deal(address(this), 3);
        address wallet = factory.deploy{value: 3}(stage1, singleImage(A));
        same(wallet.balance, 3, "balance");
    }

    function test_refuses_to_deploy_twice() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.DeployFailed.selector, stage1, singleImage(owner)));
        factory.deploy(stage1, singleImage(owner));
    }

    function test_wallet_receives_coin_without_running_its_implementation() external {
        vm.deal(address(this), 1);
        (bool success,) = address(single).call{value: 1, gas: 100}("");
        check(success, "refused");
    }

    /// @dev The address follows from implementation and configuration alone, whoever deploys, with or without coin.
    function testFuzz_the_address_follows_from_the_configuration(address implementation, bytes32 image, uint8 coin)
        external
    {
        bytes memory start = hex"6041600e3d396021805130553df33d3d36153402601f57";
        bytes32 init = keccak256(bytes.concat(start, PROXY, bytes32(uint256(uint160(implementation)))));
        bytes32 place = keccak256(abi.encodePacked(hex"ff", address(factory), image, init));
        vm.deal(address(this), coin);
        address wallet = factory.deploy{value: coin}(implementation, image);
        same(wallet, address(uint160(uint256(place))), "address");
        same(wallet.balance, coin, "coin");
        same(
            uint256(vm.load(wallet, bytes32(uint256(uint160(wallet))))), uint256(uint160(implementation)), "slot"
        );
        vm.expectRevert(abi.encodeWithSelector(IWallet.DeployFailed.selector, implementation, image));
        factory.deploy(implementation, image);
    }
}
