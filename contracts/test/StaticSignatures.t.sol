// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Decoded, IWallet} from "./IWallet.sol";
import {Vm} from "./Vm.sol";

contract StaticSignaturesTest is Base {
    using Format for Decoded;

    bytes32 private constant TEXT = keccak256("something to sign");

    function setUp() public override {
        super.setUp();
        vm.warp(1_000_000);
    }

    function approve(bytes32 opHash, address caller, uint96 expires) private {
        vm.prank(address(single));
        single.setStaticSignature(opHash, caller, expires);
    }

    function hash() private view returns (bytes32) {
        return hashOf(Format.digest(TEXT), single);
    }

    function test_an_approval_is_kept_as_the_format_says() external {
        vm.recordLogs();
        approve(TEXT, guard, 1_000_001);
        Vm.Log memory log = vm.getRecordedLogs()[0];
        check(bytes4(log.topics[0]) == 0xebf265ac, "topic");
        same(keccak256(log.data), keccak256(abi.encode(TEXT, guard, 1_000_001)), "event");
        (address caller, uint256 expires) = single.getStaticSignature(TEXT);
        same(caller, guard, "caller");
        same(expires, 1_000_001, "expires");
        bytes32 slot = keccak256(abi.encode(keccak256("org.sequence.module.auth.static"), TEXT));
        same(uint256(vm.load(address(single), slot)), uint256(uint160(guard)) << 96 | 1_000_001, "slot");
    }

    function test_only_the_wallet_approves() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.OnlySelf.selector, address(this)));
        single.setStaticSignature(TEXT, address(0), 2_000_000);
    }

    function test_anybody_uses_an_approval_for_anybody() external {
        approve(hash(), address(0), 1_000_001);
        check(single.isValidSignature(TEXT, hex"80") == 0x1626ba7e, "refused");
    }

    function test_executes_approved_calls_once() external {
        Decoded memory payload = transferPayload(single);
        approve(hashOf(payload, single), address(0), 1_000_001);
        single.execute(payload.pack(), hex"80");
        same(received(), 100, "received");
        vm.expectRevert(abi.encodeWithSelector(IWallet.BadNonce.selector, 0, 0, 1));
        single.execute(payload.pack(), hex"80");
    }

    function test_expires_at_its_second() external {
        approve(hash(), address(0), 1_000_000);
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidStaticSignatureExpired.selector, hash(), 1_000_000));
        single.isValidSignature(TEXT, hex"80");
    }

    function test_what_was_never_approved_is_refused() external {
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidStaticSignatureExpired.selector, hash(), 0));
        single.isValidSignature(TEXT, hex"80");
    }

    function test_another_caller_is_refused() external {
        approve(hash(), guard, 1_000_001);
        vm.expectRevert(
            abi.encodeWithSelector(
                IWallet.InvalidStaticSignatureWrongCaller.selector, hash(), address(this), guard
            )
        );
        single.isValidSignature(TEXT, hex"80");
        vm.prank(guard);
        check(single.isValidSignature(TEXT, hex"80") == 0x1626ba7e, "refused");
    }

    function test_an_approval_for_every_chain_is_another() external {
        approve(Format.digest(TEXT).hash(address(single), 0), address(0), 1_000_001);
        vm.chainId(10);
        check(single.isValidSignature(TEXT, hex"82") == 0x1626ba7e, "refused");
        vm.expectPartialRevert(IWallet.InvalidStaticSignatureExpired.selector);
        single.isValidSignature(TEXT, hex"80");
    }

    function test_refuses_trailing_bytes() external {
        approve(hash(), address(0), 1_000_001);
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidStaticSignatureLength.selector, 2));
        single.isValidSignature(TEXT, hex"8000");
    }

    function testFuzz_refuses_flags_without_meaning(uint8 flags) external {
        vm.assume(flags & 0x7d != 0);
        flags |= 0x80;
        approve(hash(), address(0), 1_000_001);
        vm.expectRevert(abi.encodeWithSelector(IWallet.InvalidSignatureFlag.selector, flags));
        single.isValidSignature(TEXT, abi.encodePacked(flags));
    }

    function test_is_no_link_and_no_partial_signature() external {
        approve(hash(), address(0), 1_000_001);
        vm.expectPartialRevert(IWallet.InvalidSignatureFlag.selector);
        single.recoverPartialSignature(Format.digest(TEXT), hex"80");
        vm.expectPartialRevert(IWallet.InvalidSignatureFlag.selector);
        single.isValidSignature(TEXT, bytes.concat(hex"01", Format.link(hex"80")));
    }
}
