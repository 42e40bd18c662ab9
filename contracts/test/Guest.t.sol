// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded, IWallet} from "./IWallet.sol";

contract GuestTest is Base {
    using Format for Decoded;

    function send(Call[] memory calls) private returns (bool success, bytes memory out) {
        (success, out) = guest.call(Format.calls(calls, 0, 0).pack());
    }

    function test_deploys_a_wallet_and_executes_with_it_in_one_transaction() external {
        address account = vm.addr(STRANGER);
        bytes32 image = guardedImage(account, guard);
        bytes32 init = keccak256(
            abi.encodePacked(
                hex"6041600e3d396021805130553df33d3d36153402601f57363d3d373d363d30545af43d82803e903d91601f57fd5bf3",
                uint256(uint160(stage1))
            )
        );
        bytes32 place = keccak256(abi.encodePacked(hex"ff", address(factory), image, init));
        IWallet wallet = IWallet(address(uint160(uint256(place))));
        check(address(wallet).code.length == 0, "deployed already");
        token.mint(address(wallet), 100);

        Decoded memory payload = Format.calls(list(transfer(address(0x77), 100)), 0, 0);
        bytes32 hash = hashOf(payload, wallet);
        bytes memory signature =
            bytes.concat(Format.head(2), Format.nestedItem(1, 1, signed(STRANGER, hash)), signed(GUARD, hash));

        Call[] memory calls = new Call[](2);
        calls[0] = call(address(factory), abi.encodeCall(factory.deploy, (stage1, image)));
        calls[0].behaviorOnError = 0; // Somebody else may have deployed it in the meantime.
        calls[1] = call(address(wallet), abi.encodeCall(wallet.execute, (payload.pack(), signature)));
        (bool success,) = send(calls);
        check(success, "refused");
        same(received(), 100, "received");
    }

    function test_refuses_to_run_code_as_itself() external {
        Call memory only = call(address(token), "");
        only.delegateCall = true;
        (bool success, bytes memory out) = send(list(only));
        check(!success, "accepted");
        same(keccak256(out), keccak256(abi.encodeWithSelector(IWallet.DelegateCallNotAllowed.selector, 0)), "error");
    }

    function test_a_failing_call_takes_the_batch_with_it() external {
        (bool success, bytes memory out) = send(list(transfer(address(0x77), 1)));
        check(!success && bytes4(out) == IWallet.Reverted.selector, "accepted");
    }

    function test_refuses_trailing_bytes() external {
        (bool success, bytes memory out) =
            guest.call(bytes.concat(Format.calls(list(call(owner, "")), 0, 0).pack(), hex"00"));
        check(!success && bytes4(out) == IWallet.InvalidPackedLength.selector, "accepted");
    }

    /// @dev Any bytes: whatever they make the guest do, it does as itself, without coin left and for nobody else.
    function testFuzz_no_bytes_move_what_is_not_the_guests(bytes calldata packed) external {
        (bool success,) = guest.call(packed);
        success;
        same(token.balanceOf(address(single)), 1000, "token");
        same(address(single).balance, 10 ether, "coin");
        same(single.readNonce(0), 0, "nonce");
        same(single.getImplementation(), stage1, "implementation");
    }

    function testFuzz_runs_all_calls_or_none(uint8 count, uint8 failing, uint8 behavior) external {
        count = count % 8 + 1;
        failing %= 12;
        token.mint(guest, 100);
        Call[] memory calls = new Call[](count);
        for (uint256 i; i < count; ++i) {
            calls[i] = transfer(address(0x77), i == failing ? 1000 : 1);
            calls[i].behaviorOnError = behavior % 3;
        }
        (bool success,) = send(calls);
        uint256 expected = failing >= count ? count : behavior % 3 == 0 ? count - 1 : failing;
        bool reverted = failing < count && behavior % 3 == 1;
        check(success == !reverted, "success");
        same(received(), reverted ? 0 : expected, "received");
    }
}
