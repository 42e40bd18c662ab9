// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IWallet} from "./IWallet.sol";
import {Target} from "./Mocks.sol";

/// @notice Whatever is sent to the wallet, in any order: a nonce moves by one or not at all, it moves only with
/// a batch that was run, and a batch that reverts leaves everything as it was.
contract NoncesTest is Base {
    using Format for Decoded;

    uint256 private constant SPACES = 3;

    Target private target;

    function setUp() public override {
        super.setUp();
        target = new Target();
    }

    function testFuzz_a_nonce_moves_by_one_with_each_batch_and_never_else(uint256 seed) external {
        uint256[SPACES] memory expected;
        uint256 works;
        for (uint256 i; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 space = seed % SPACES;
            // The right nonce mostly, or one of its neighbours.
            uint256 nonce = expected[space];
            if (seed & 0x700 == 0) nonce += 1;
            else if (seed & 0x700 == 0x100 && nonce > 0) nonce -= 1;
            uint256 key = seed & 0x3000 == 0 ? STRANGER : OWNER;
            bool fails = seed & 0xc000 == 0;
            bytes memory data = fails ? abi.encodeCall(target.fail, ()) : abi.encodeCall(target.work, ());
            Decoded memory payload = Format.calls(list(call(address(target), data)), space, nonce);
            bytes memory signature = signSingle(key, hashOf(payload, single));
            (bool success,) = address(single).call(abi.encodeCall(single.execute, (payload.pack(), signature)));

            bool should = nonce == expected[space] && key == OWNER && !fails;
            check(success == should, should ? "refused" : "accepted");
            if (should) {
                expected[space]++;
                works++;
            }
            for (uint256 other; other < SPACES; ++other) same(single.readNonce(other), expected[other], "nonce");
            same(target.calls(), works, "calls");
        }
    }

    function test_a_batch_that_failed_can_be_sent_again() external {
        Decoded memory payload = Format.calls(list(transfer(address(0x77), 5_000)), 0, 0);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        vm.expectPartialRevert(IWallet.Reverted.selector);
        single.execute(payload.pack(), signature);
        token.mint(address(single), 5_000);
        single.execute(payload.pack(), signature);
        same(received(), 5_000, "received");
    }

    function testFuzz_no_bytes_move_a_nonce_without_a_signature(bytes calldata packed, bytes calldata signature)
        external
    {
        (bool success,) = address(single).call(abi.encodeCall(single.execute, (packed, signature)));
        check(!success, "accepted");
        (success,) = address(single).call(bytes.concat(IWallet.executeCompact.selector, packed, signature));
        check(!success, "accepted");
        same(single.readNonce(0), 0, "nonce");
    }
}
