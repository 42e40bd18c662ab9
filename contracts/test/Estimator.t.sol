// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IEstimator, IWallet} from "./IWallet.sol";
import {Target} from "./Mocks.sol";

contract EstimatorTest is Base {
    using Format for Decoded;

    bytes private constant PROXY = hex"363d3d373d363d30545af43d82803e903d91601f57fd5bf3";

    function setUp() public override {
        super.setUp();
        bytes memory code = vm.getCode("artifacts/Estimator.json");
        address estimator;
        assembly {
            estimator := create(0, add(code, 0x20), mload(code))
        }
        // What an eth_call with a state override does.
        vm.etch(address(single), estimator.code);
    }

    function test_selector_is_the_published_one() external pure {
        check(IEstimator.estimate.selector == 0x975befdb, "estimate");
    }

    function test_anybody_signs_and_any_nonce_is_next() external {
        Decoded memory payload = Format.calls(list(transfer(address(0x77), 100)), 3, 99);
        bytes memory signature = signSingle(STRANGER, hashOf(payload, single));
        uint256 gasUsed = IEstimator(address(single)).estimate(payload.pack(), signature);
        check(gasUsed > 20_000 && gasUsed < 120_000, "gas");
        same(received(), 100, "received");
    }

    function test_a_costlier_call_is_estimated_higher() external {
        Target target = new Target();
        uint256 last;
        for (uint256 amount = 50_000; amount < 300_000; amount *= 2) {
            Decoded memory payload =
                Format.calls(list(call(address(target), abi.encodeCall(target.burn, (amount)))), 0, 0);
            bytes memory signature = signSingle(STRANGER, hashOf(payload, single));
            uint256 gasUsed = IEstimator(address(single)).estimate(payload.pack(), signature);
            check(gasUsed > last && gasUsed > amount, "gas");
            last = gasUsed;
        }
    }

    function test_a_failing_batch_reverts_with_its_reason() external {
        Decoded memory payload = Format.calls(list(transfer(address(0x77), 1_000_000)), 0, 0);
        bytes memory signature = signSingle(STRANGER, hashOf(payload, single));
        vm.expectPartialRevert(IWallet.Reverted.selector);
        IEstimator(address(single)).estimate(payload.pack(), signature);
    }

    /// @dev What is estimated suffices: the same batch as the wallet itself takes no more.
    function testFuzz_an_estimate_is_enough(uint256 seed) external {
        Call[] memory calls = new Call[](seed % 4 + 1);
        for (uint256 i; i < calls.length; ++i) {
            address to = address(uint160(uint256(keccak256(abi.encode(seed, i)))));
            calls[i] = transfer(to, uint8(seed >> (8 * i)) % 200);
        }
        Decoded memory payload = Format.calls(calls, 0, 0);
        bytes memory signature = signSingle(OWNER, hashOf(payload, single));
        uint256 before = vm.snapshotState();
        uint256 estimated = IEstimator(address(single)).estimate(payload.pack(), signature);
        check(vm.revertToState(before), "state");
        vm.etch(address(single), abi.encodePacked(hex"3d3d36153402601f57", PROXY));
        single.execute{gas: estimated * 64 / 63 + 10_000}(payload.pack(), signature);
        same(single.readNonce(0), 1, "not run");
    }
}
