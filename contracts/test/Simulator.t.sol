// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, ISimulator, IWallet, Result} from "./IWallet.sol";
import {Extension, Target} from "./Mocks.sol";

contract SimulatorTest is Base {
    using Format for Decoded;

    Target private target;

    function setUp() public override {
        super.setUp();
        bytes memory code = vm.getCode("artifacts/Simulator.json");
        address simulator;
        assembly {
            simulator := create(0, add(code, 0x20), mload(code))
        }
        vm.etch(address(single), simulator.code);
        target = new Target();
    }

    function simulate(Call[] memory calls) private returns (Result[] memory) {
        return ISimulator(address(single)).simulate(calls);
    }

    function failing(uint256 behavior) private view returns (Call memory only) {
        only = call(address(target), abi.encodeCall(target.fail, ()));
        only.behaviorOnError = behavior;
    }

    function test_selector_is_the_published_one() external pure {
        check(ISimulator.simulate.selector == 0xa27c3922, "simulate");
    }

    function test_tells_how_each_call_ends() external {
        for (uint256 behavior = 1; behavior < 3; ++behavior) {
            Call[] memory calls = new Call[](6);
            calls[0] = call(address(target), abi.encodeCall(target.work, ()));
            calls[1] = calls[0];
            calls[1] = call(address(target), abi.encodeCall(target.work, ()));
            calls[1].onlyFallback = true;
            calls[2] = failing(0);
            calls[3] = calls[1];
            calls[4] = failing(behavior);
            calls[5] = calls[0];
            Result[] memory results = simulate(calls);
            uint8[6] memory expected = [1, 0, 2, 1, behavior == 1 ? 4 : 3, 0];
            for (uint256 i; i < 6; ++i) same(results[i].status, expected[i], "status");
            same(
                keccak256(results[4].result), keccak256(abi.encodeWithSelector(Target.Refused.selector, 42)), "reason"
            );
            check(results[0].gasUsed > 0 && results[1].gasUsed == 0, "gas");
        }
        same(target.calls(), 4, "calls");
    }

    function test_too_little_gas_for_a_limit_ends_the_batch() external {
        Call[] memory calls = new Call[](2);
        calls[0] = call(address(target), abi.encodeCall(target.work, ()));
        calls[0].gasLimit = type(uint64).max;
        calls[1] = call(address(target), abi.encodeCall(target.work, ()));
        Result[] memory results = simulate(calls);
        same(results[0].status, 5, "status");
        same(results[1].status, 0, "status");
    }

    function test_delegate_calls_and_calls_to_itself_run_as_the_wallet() external {
        Call[] memory calls = new Call[](2);
        calls[0] = call(address(new Extension()), "data");
        calls[0].delegateCall = true;
        bytes memory inner = Format.calls(list(transfer(address(0x77), 5)), 0, 0).pack();
        calls[1] = call(address(single), abi.encodeCall(single.selfExecute, (inner)));
        Result[] memory results = simulate(calls);
        same(results[0].status, 1, "delegate call");
        same(results[1].status, 1, "call to itself");
        same(received(), 5, "received");
    }

    function test_remains_the_wallet_for_everything_else() external {
        bytes32 text = keccak256("text");
        bytes memory signature = signSingle(OWNER, hashOf(Format.digest(text), single));
        check(single.isValidSignature(text, signature) == 0x1626ba7e, "refused");
        signature = signSingle(STRANGER, hashOf(Format.digest(text), single));
        check(single.isValidSignature(text, signature) == 0, "accepted");
        same(single.getImplementation(), stage1, "implementation");
        (bool success,) = address(single).call{value: 0}("");
        check(success, "coin");
    }

    /// @dev What the simulator says of each call is what becomes of it.
    function testFuzz_tells_what_happens(uint256 seed) external {
        Call[] memory calls = new Call[](seed % 6 + 1);
        uint256 works;
        bool failed;
        bool ended;
        uint8[] memory expected = new uint8[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            bool fails = dice & 3 == 0;
            calls[i] = fails ? failing(0) : call(address(target), abi.encodeCall(target.work, ()));
            calls[i].behaviorOnError = (dice >> 8) % 3;
            calls[i].onlyFallback = dice & 0x30 == 0;
            if (ended || (calls[i].onlyFallback && !failed)) {
                failed = false;
                continue;
            }
            if (fails) {
                expected[i] = calls[i].behaviorOnError == 0 ? 2 : calls[i].behaviorOnError == 1 ? 4 : 3;
                ended = calls[i].behaviorOnError != 0;
            } else {
                expected[i] = 1;
                ++works;
            }
            failed = fails;
        }
        Result[] memory results = simulate(calls);
        for (uint256 i; i < calls.length; ++i) same(results[i].status, expected[i], "status");
        same(target.calls(), works, "calls");
    }
}
