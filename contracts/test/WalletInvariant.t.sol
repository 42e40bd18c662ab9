// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "./Base.sol";
import {Format} from "./Format.sol";
import {Call, Decoded} from "./IWallet.sol";

/// @notice Whoever has the wallet's key at the moment, whoever had it or never did, and those who have nothing; and a
/// second opinion on what may happen.
contract Actors is Base {
    using Format for Decoded;

    struct Sent {
        bytes packed;
        bytes signature;
        uint256 by;
        uint256 nonce;
        bool fails;
        /// One above the key that has the wallet afterwards, zero if it remains.
        uint256 next;
    }

    /// @dev The key that has the wallet: the owner first.
    uint256 private current;
    uint256 private nonce;
    bool private updated;
    Sent private last;

    uint256 public accepted;
    uint256 public updates;
    uint256 public sent;
    /// @dev What came out otherwise than it should.
    string public wrong;

    function keyOf(uint256 which) private pure returns (uint256) {
        return which == 0 ? OWNER : which == 1 ? GUARD : STRANGER;
    }

    // ─── What happens ───────────────────────────────────────────────────────────────────────────────

    /// @dev A token, or more than there are; mostly with the right nonce, by any key.
    function send(uint256 by, uint256 nonceOff, bool fails) external {
        uint256 amount = fails ? 5_000 : 1;
        bring(list(transfer(address(0x77), amount)), by % 3, nonceOff % 8, fails, 0);
    }

    function update(uint256 by, uint256 next) external {
        (by, next) = (by % 3, next % 3);
        bytes32 image = singleImage(vm.addr(keyOf(next)));
        bring(list(call(address(single), abi.encodeCall(single.updateImageHash, (image)))), by, 0, false, next + 1);
    }

    /// @dev What was brought the last time, once more: it may count only now.
    function again() external {
        if (last.packed.length != 0) attempt();
    }

    /// @dev What only the wallet may do, by somebody else or through the guest.
    function outside(uint256 which, bytes32 word, bool throughGuest) external {
        which %= 6;
        bytes memory data;
        if (which == 0) data = abi.encodeCall(single.updateImageHash, (word));
        if (which == 1) data = abi.encodeCall(single.updateImplementation, (stage2));
        if (which == 2) data = abi.encodeCall(single.addHook, (bytes4(word), address(this)));
        if (which == 3) data = abi.encodeCall(single.setStaticSignature, (word, address(0), uint96(0)));
        if (which == 4) {
            Decoded memory payload = Format.calls(list(transfer(address(0x77), 1)), 0, nonce);
            data = abi.encodeCall(single.selfExecute, (payload.pack()));
        }
        if (which == 5) data = abi.encodeCall(single.removeHook, (bytes4(word)));
        (address to, bytes memory what) = (address(single), data);
        if (throughGuest) (to, what) = (guest, Format.calls(list(call(to, data)), 0, 0).pack());
        (bool success,) = to.call(what);
        if (success) wrong = "by somebody else";
    }

    // ─── Helpers ────────────────────────────────────────────────────────────────────────────────────

    /// @dev `nonceOff` 1 is the nonce before, 2 the nonce after, anything else the right one.
    function bring(Call[] memory calls, uint256 by, uint256 nonceOff, bool fails, uint256 next) private {
        uint256 with = nonce;
        if (nonceOff == 1 && with != 0) --with;
        if (nonceOff == 2) ++with;
        Decoded memory payload = Format.calls(calls, 0, with);
        last = Sent(payload.pack(), signSingle(keyOf(by), hashOf(payload, single)), by, with, fails, next);
        attempt();
    }

    function attempt() private {
        bool may = last.by == current && last.nonce == nonce && !last.fails;
        try single.execute(last.packed, last.signature) {
            if (!may) wrong = "accepted";
            ++accepted;
            ++nonce;
            if (last.next == 0) {
                ++sent;
            } else {
                current = last.next - 1;
                updated = true;
                ++updates;
            }
        } catch {
            if (may) wrong = "refused";
        }
    }

    function holds() external view {
        check(bytes(wrong).length == 0, wrong);
        same(single.readNonce(0), nonce, "nonce");
        same(received(), sent, "received");
        same(single.getImplementation(), updated ? stage2 : stage1, "implementation");
        if (updated) same(single.imageHash(), singleImage(vm.addr(keyOf(current))), "configuration");
    }
}

/// @notice In whatever order: only the present key moves anything, each approval counts once, and nobody but the
/// wallet changes its configuration or its code.
contract WalletInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Actors private actors;

    function setUp() public {
        actors = new Actors();
        actors.setUp();
    }

    /// @dev Read by forge: what a random sequence consists of.
    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(actors);
        list[0].selectors = new bytes4[](4);
        list[0].selectors[0] = actors.send.selector;
        list[0].selectors[1] = actors.update.selector;
        list[0].selectors[2] = actors.again.selector;
        list[0].selectors[3] = actors.outside.selector;
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(actors);
    }

    /// forge-config: default.invariant.runs = 32
    /// forge-config: default.invariant.depth = 60
    function invariant_only_the_present_key_moves_the_wallet() external view {
        actors.holds();
    }

    /// @dev The invariant would also hold if nothing were ever accepted.
    function test_the_actors_act() external {
        actors.send(0, 0, false);
        actors.again();
        actors.update(0, 1);
        actors.send(0, 0, false);
        actors.send(1, 0, false);
        actors.send(1, 1, false);
        actors.send(1, 0, true);
        for (uint256 i; i < 6; ++i) actors.outside(i, keccak256("word"), i % 2 == 0);
        // Signed too early, and by a key that has the wallet later.
        actors.update(2, 0);
        require(actors.accepted() == 3 && actors.updates() == 1 && actors.sent() == 2, "accepted");
        actors.holds();
    }
}
