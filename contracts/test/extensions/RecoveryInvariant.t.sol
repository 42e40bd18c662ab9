// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Decoded, IWallet} from "../IWallet.sol";
import {IRecovery} from "./IExtensions.sol";

/// @notice A recovery signer, a wallet's owner and the time, in any order; and a second opinion on what may run.
contract Recoverer is Base {
    using Format for Decoded;

    uint256 private constant HEIR = 0x4e14;
    uint256 private constant DELAY = 7 days;
    uint256 private constant PAYLOADS = 6;

    IRecovery private recovery;
    IWallet private wallet;
    address private heir;
    bytes32 private signers;

    uint256 private time = 1_800_000_000;
    mapping(uint256 space => uint256) private queuedAt;
    mapping(uint256 space => bool) private done;
    uint256 private cancelledAt;

    uint256 public executed;
    uint256 public cancelled;
    /// @dev What ran and should not have, or did not run and should have.
    string public wrong;

    function setUp() public override {
        super.setUp();
        vm.warp(time);
        (, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), vm.getCode("artifacts/Recovery.json")));
        recovery = IRecovery(address(bytes20(answer)));
        heir = vm.addr(HEIR);
        signers = Format.pair(Format.nested(Format.signer(owner, 1), 1, 1), Format.signer(guard, 1));
        wallet = walletOf(Format.pair(signers, Format.sapient(address(recovery), 2, root())), 2);
        token.mint(address(wallet), 1000);
    }

    function root() private view returns (bytes32) {
        return keccak256(abi.encodePacked("Sequence recovery leaf:\n", heir, DELAY, uint256(0)));
    }

    /// @dev Nonce spaces from one: each payload can run once, in any order.
    function payload(uint256 space) private view returns (Decoded memory) {
        return Format.calls(list(transfer(heir, 100)), space, 0);
    }

    // ─── What happens ───────────────────────────────────────────────────────────────────────────────

    /// @dev Days, up to a whole window, a second, or up to just before something begins or ends.
    function pass(uint256 howLong) external {
        uint256 kind = howLong % 4;
        howLong /= 4;
        if (kind == 0) time += howLong % 3 days;
        if (kind == 1) time += howLong % recovery.WINDOW();
        if (kind == 2) ++time;
        if (kind == 3) {
            uint256 edge = queuedAt[howLong % PAYLOADS + 1] + DELAY;
            if (edge <= time) edge += recovery.WINDOW() + 1;
            if (edge > time) time = edge - 1;
        }
    }

    function queue(uint256 which) external {
        vm.warp(time);
        uint256 space = which % PAYLOADS + 1;
        Decoded memory what = payload(space);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HEIR, recovery.recoveryPayloadHash(address(wallet), what));
        try recovery.queuePayload(address(wallet), heir, what, Format.compact(v, r, s)) {
            if (queuedAt[space] != 0) wrong = "queued twice";
            queuedAt[space] = time;
        } catch {
            if (queuedAt[space] == 0) wrong = "not queued";
        }
    }

    function cancel(bool bySigner) external {
        vm.warp(time);
        bytes memory signature;
        if (bySigner) {
            bytes32 hash = hashOf(Format.digest(recovery.cancellationHash(address(wallet), heir)), wallet);
            signature = abi.encodePacked(
                Format.head(2),
                Format.nestedItem(1, 1, signed(OWNER, hash)),
                shown(guard),
                hex"30",
                Format.sapient(address(recovery), 2, root())
            );
        } else {
            vm.prank(heir);
        }
        // One signer below the threshold cannot cancel for ever.
        try recovery.cancelRecovery(address(wallet), heir, signature) {
            cancelledAt = time;
            ++cancelled;
        } catch {}
    }

    function run(uint256 which) external {
        vm.warp(time);
        uint256 space = which % PAYLOADS + 1;
        uint256 start = queuedAt[space];
        bool may = start != 0 && !done[space] && start > cancelledAt && time >= start + DELAY
            && time <= start + DELAY + recovery.WINDOW();
        bytes memory tree = abi.encodePacked(hex"01", heir, uint24(DELAY), uint64(0));
        bytes memory signature =
            abi.encodePacked(Format.head(2), hex"30", signers, hex"a6", address(recovery), uint8(tree.length), tree);
        try wallet.execute(payload(space).pack(), signature) {
            if (!may) wrong = "ran";
            done[space] = true;
            ++executed;
        } catch {
            if (may) wrong = "did not run";
        }
    }

    function heirs() external view returns (uint256) {
        return token.balanceOf(heir);
    }
}

/// @notice Nothing runs before its delay, after its window, after a cancellation or twice, in whatever order.
contract RecoveryInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Recoverer private recoverer;

    function setUp() public {
        recoverer = new Recoverer();
        recoverer.setUp();
    }

    /// @dev Read by forge: what a random sequence consists of.
    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(recoverer);
        list[0].selectors = new bytes4[](6);
        list[0].selectors[0] = recoverer.pass.selector;
        list[0].selectors[1] = recoverer.queue.selector;
        list[0].selectors[2] = recoverer.cancel.selector;
        list[0].selectors[3] = recoverer.run.selector;
        // More often than the others.
        list[0].selectors[4] = recoverer.pass.selector;
        list[0].selectors[5] = recoverer.run.selector;
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(recoverer);
    }

    /// forge-config: default.invariant.runs = 32
    /// forge-config: default.invariant.depth = 60
    function invariant_nothing_runs_early_late_cancelled_or_twice() external view {
        require(bytes(recoverer.wrong()).length == 0, recoverer.wrong());
        require(recoverer.heirs() == 100 * recoverer.executed(), "received");
    }

    /// @dev The invariant would also hold if nothing ever ran.
    function test_the_recoverer_recovers() external {
        recoverer.queue(0);
        recoverer.run(0);
        for (uint256 i; i < 4; ++i) recoverer.pass(4 * 2 days);
        recoverer.run(0);
        require(recoverer.executed() == 1, "not run");
        recoverer.queue(1);
        recoverer.cancel(true);
        for (uint256 i; i < 4; ++i) recoverer.pass(4 * 2 days);
        recoverer.run(1);
        recoverer.run(0);
        require(recoverer.cancelled() == 1 && recoverer.executed() == 1, "run");
        require(bytes(recoverer.wrong()).length == 0, recoverer.wrong());
    }
}
