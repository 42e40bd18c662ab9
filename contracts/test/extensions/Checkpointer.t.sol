// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Format} from "../Format.sol";
import {Decoded, IWallet} from "../IWallet.sol";
import {Clock, ICheckpointerContract, IRecovery} from "./IExtensions.sol";

contract CheckpointerTest is Base {
    using Format for Decoded;

    Clock internal constant clock = Clock(address(vm));
    uint256 internal constant MACHINE = 0x3ac4;
    uint256 internal constant NEXT_OWNER = 0x2222;
    uint256 internal constant HEIR = 0x4e14;
    uint256 internal constant DELAY = 7 days;
    uint256 internal constant NOW = 1_800_000_000;

    ICheckpointerContract internal checkpointer;
    IRecovery internal recovery;
    IWallet internal wallet;
    address internal heir;

    /// @dev Checkpoint 1: the owner with weight 1, or recovery with weight 1. Checkpoint 2: the next owner.
    function setUp() public override {
        super.setUp();
        clock.warp(NOW);
        recovery = IRecovery(deployed("Recovery", ""));
        checkpointer = ICheckpointerContract(deployed("Checkpointer", abi.encode(vm.addr(MACHINE))));
        heir = vm.addr(HEIR);
        wallet = IWallet(factory.deploy(stage1, image(1)));
        token.mint(address(wallet), 1000);
    }

    // ─── What the tests make ────────────────────────────────────────────────────────────────────────

    function deployed(string memory name, bytes memory arguments) internal returns (address account) {
        bytes memory code = vm.getCode(string.concat("artifacts/", name, ".json"));
        (bool success, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code, arguments));
        check(success, name);
        account = address(bytes20(answer));
    }

    function recoveryLeaf() internal view returns (bytes memory) {
        return abi.encodePacked(hex"01", heir, uint24(DELAY), uint64(0));
    }

    function recoveryNode() internal view returns (bytes32) {
        bytes32 root = keccak256(abi.encodePacked("Sequence recovery leaf:\n", heir, DELAY, uint256(0)));
        return Format.sapient(address(recovery), 1, root);
    }

    function keyOf(uint256 checkpoint) internal pure returns (uint256) {
        return checkpoint == 1 ? OWNER : NEXT_OWNER;
    }

    function image(uint256 checkpoint) internal view returns (bytes32) {
        bytes32 signers = Format.pair(Format.signer(vm.addr(keyOf(checkpoint)), 1), recoveryNode());
        return Format.image(signers, 1, checkpoint, address(checkpointer));
    }

    function sign64(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Format.compact(v, r, s);
    }

    function proofAt(uint256 key, bytes32 imageHash, uint256 checkpoint, uint256 issued, uint256 expires)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = checkpointer.attestationHash(address(wallet), imageHash, checkpoint, issued, expires);
        return abi.encodePacked(
            imageHash, uint56(checkpoint), uint64(issued), uint64(expires), sign64(key, digest)
        );
    }

    function proof(uint256 checkpoint) internal view returns (bytes memory) {
        return proofAt(MACHINE, image(checkpoint), checkpoint, block.timestamp, block.timestamp + 1 hours);
    }

    function withProof(bytes memory data) internal view returns (bytes memory) {
        return abi.encodePacked(address(checkpointer), uint24(data.length), data);
    }

    /// @dev By the owner of the first configuration.
    function first(bytes32 hash, bytes memory data) internal view returns (bytes memory) {
        return abi.encodePacked(hex"44", withProof(data), hex"0101", signed(OWNER, hash), hex"30", recoveryNode());
    }

    /// @dev By the owner of the second configuration, with the update that the first one's signed.
    function second(bytes32 hash, bytes memory data) internal view returns (bytes memory) {
        bytes32 update = Format.update(image(2)).hash(address(wallet), 0);
        bytes memory newest = abi.encodePacked(
            hex"44", address(checkpointer), hex"0201", signed(NEXT_OWNER, hash), hex"30", recoveryNode()
        );
        bytes memory oldest = abi.encodePacked(hex"060101", signed(OWNER, update), hex"30", recoveryNode());
        return abi.encodePacked(hex"41", withProof(data), Format.link(newest), Format.link(oldest));
    }

    /// @dev Shows the recovery leaf and no signature.
    function shownRecovery(bytes memory data) internal view returns (bytes memory) {
        bytes memory leaf = recoveryLeaf();
        return abi.encodePacked(
            hex"44",
            withProof(data),
            hex"010130",
            Format.signer(owner, 1),
            hex"a5",
            address(recovery),
            uint8(leaf.length),
            leaf
        );
    }

    function transferNow() internal view returns (Decoded memory) {
        return transferPayload(wallet);
    }

    function executeFirst(bytes memory data) internal {
        Decoded memory payload = transferNow();
        wallet.execute(payload.pack(), first(hashOf(payload, wallet), data));
    }

    function refusesFirst(bytes memory data, bytes4 selector) internal {
        Decoded memory payload = transferNow();
        bytes memory signature = first(hashOf(payload, wallet), data);
        vm.expectPartialRevert(selector);
        wallet.execute(payload.pack(), signature);
    }

    function distrustSignature(uint256 key) internal view returns (bytes memory) {
        bytes32 hash = hashOf(Format.digest(checkpointer.distrustHash(address(wallet))), wallet);
        return abi.encodePacked(hex"44", withProof(""), hex"0101", signed(key, hash), hex"30", recoveryNode());
    }

    // ─── The latest configuration ───────────────────────────────────────────────────────────────────

    function test_the_latest_configuration_is_accepted() external {
        executeFirst(proof(1));
        Decoded memory payload = transferNow();
        wallet.execute(payload.pack(), second(hashOf(payload, wallet), proof(2)));
        same(received(), 200, "not received");
    }

    function test_a_stale_configuration_is_refused() external {
        refusesFirst(proof(2), IWallet.UnusedSnapshot.selector);
    }

    function test_a_stale_configuration_is_refused_on_another_chain_too() external {
        vm.chainId(10);
        refusesFirst(proof(2), IWallet.UnusedSnapshot.selector);
        executeFirst(proof(1));
    }

    function test_without_a_proof_nothing_is_accepted() external {
        refusesFirst("", IWallet.Truncated.selector);
    }

    function test_a_word_that_is_not_the_key_machines_is_refused() external {
        uint256 time = block.timestamp;
        refusesFirst(
            proofAt(STRANGER, image(1), 1, time, time + 1 hours),
            ICheckpointerContract.InvalidAttestation.selector
        );
        bytes memory altered = proof(1);
        altered[38] = 0x00;
        refusesFirst(altered, ICheckpointerContract.InvalidAttestation.selector);
        refusesFirst(bytes.concat(proof(1), hex"00"), ICheckpointerContract.InvalidAttestation.selector);
        // About no configuration: that would silence the checkpointer.
        refusesFirst(
            proofAt(MACHINE, 0, 1, time, time + 1 hours), ICheckpointerContract.InvalidAttestation.selector
        );
        // About another wallet.
        IWallet ours = wallet;
        wallet = single;
        bytes memory foreign = proof(1);
        wallet = ours;
        refusesFirst(foreign, ICheckpointerContract.InvalidAttestation.selector);
    }

    function test_a_proof_out_of_time_is_refused() external {
        uint256 time = block.timestamp;
        bytes4 late = ICheckpointerContract.AttestationOutOfTime.selector;
        refusesFirst(proofAt(MACHINE, image(1), 1, time - 2 hours, time - 1), late);
        uint256 skew = checkpointer.CLOCK_SKEW();
        refusesFirst(proofAt(MACHINE, image(1), 1, time + skew + 1, time + 1 hours), late);
        uint256 life = checkpointer.MAX_LIFETIME();
        refusesFirst(proofAt(MACHINE, image(1), 1, time, time + life + 1), late);
        refusesFirst(proofAt(MACHINE, image(1), 1, time + 2, time + 1), late);
        executeFirst(proofAt(MACHINE, image(1), 1, time + skew, time + life));
    }

    // ─── It cannot freeze a wallet ──────────────────────────────────────────────────────────────────

    function test_distrust_by_a_signer_works_against_a_hostile_key_machine() external {
        // It gives no word, or a false one: nothing moves.
        refusesFirst("", IWallet.Truncated.selector);
        bytes memory lie = proofAt(MACHINE, keccak256("lie"), 2 ** 56 - 1, NOW, NOW + 1 days);
        refusesFirst(lie, IWallet.UnusedSnapshot.selector);

        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        uint256 from = NOW + checkpointer.DISTRUST_DELAY();
        clock.warp(from - 1);
        refusesFirst("", IWallet.Truncated.selector);
        clock.warp(from);
        executeFirst("");
        executeFirst(lie);
        same(received(), 200, "not received");
    }

    function test_distrust_by_a_recovery_signer_works_against_a_hostile_key_machine() external {
        Decoded memory payload = transferNow();
        recovery.queuePayload(
            address(wallet), heir, payload, sign64(HEIR, recovery.recoveryPayloadHash(address(wallet), payload))
        );
        bytes memory approval = sign64(HEIR, checkpointer.distrustHash(address(wallet)));
        checkpointer.distrustByRecovery(address(wallet), address(recovery), heir, shownRecovery(""), approval);
        clock.warp(NOW + DELAY);
        wallet.execute(payload.pack(), shownRecovery(""));
        same(received(), 100, "not received");
    }

    function test_a_stranger_distrusts_nothing() external {
        bytes memory forged = distrustSignature(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotASigner.selector, address(wallet)));
        checkpointer.distrust(address(wallet), forged);
        // Showing the recovery leaf proves that it is there, not that its signer asks.
        bytes memory leaf = shownRecovery("");
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotSignedByRecoverySigner.selector, heir));
        checkpointer.distrustByRecovery(
            address(wallet), address(recovery), heir, leaf, sign64(STRANGER, keccak256("anything"))
        );
        // Nor is anybody else the signer of that leaf, or of a recovery contract of their own.
        address stranger = vm.addr(STRANGER);
        vm.prank(stranger);
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        checkpointer.distrustByRecovery(address(wallet), address(recovery), stranger, leaf, "");
        vm.prank(stranger);
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        checkpointer.distrustByRecovery(address(wallet), stranger, stranger, leaf, "");
    }

    function test_a_membership_proof_approves_nothing_else() external {
        // The one digest that passes for a shown leaf is bound to the recovery contract, wallet and signer.
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        recovery.recoverSapientSignatureCompact(keccak256("anything"), recoveryLeaf());
        Decoded memory payload = transferNow();
        bytes memory signature = shownRecovery(proof(1));
        vm.expectPartialRevert(IRecovery.QueueNotReady.selector);
        wallet.execute(payload.pack(), signature);
    }

    function test_a_distrust_counts_once_and_the_wallet_can_trust_again() external {
        bytes memory signature = distrustSignature(OWNER);
        checkpointer.distrust(address(wallet), signature);
        Decoded memory payload =
            Format.calls(list(call(address(checkpointer), abi.encodeCall(checkpointer.trust, ()))), 0, 0);
        wallet.execute(payload.pack(), first(hashOf(payload, wallet), proof(1)));
        same(checkpointer.silentFrom(address(wallet)), 0, "still distrusted");
        vm.expectRevert(abi.encodeWithSelector(ICheckpointerContract.NotASigner.selector, address(wallet)));
        checkpointer.distrust(address(wallet), signature);
        clock.warp(NOW + checkpointer.DISTRUST_DELAY());
        refusesFirst(proof(2), IWallet.UnusedSnapshot.selector);
    }

    function test_distrusting_again_does_not_start_the_delay_again() external {
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        uint256 from = checkpointer.silentFrom(address(wallet));
        clock.warp(NOW + 1 days);
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        same(checkpointer.silentFrom(address(wallet)), from, "moved");
    }

    function test_only_the_wallet_trusts_for_itself() external {
        checkpointer.distrust(address(wallet), distrustSignature(OWNER));
        checkpointer.trust();
        check(checkpointer.silentFrom(address(wallet)) != 0, "a stranger trusts for the wallet");
    }

    // ─── The key machine's key ──────────────────────────────────────────────────────────────────────

    function rotation(uint256 key, address next) internal view returns (bytes memory) {
        bytes32 domainType = keccak256("EIP712Domain(string name,string version,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(domainType, keccak256("Keyfold Checkpointer"), keccak256("1"), address(checkpointer))
        );
        bytes32 structType = keccak256("Rotation(address next,uint256 number)");
        bytes32 struct_ = keccak256(abi.encode(structType, next, checkpointer.rotations()));
        return sign64(key, keccak256(abi.encodePacked(hex"1901", domain, struct_)));
    }

    function test_the_key_names_the_next() external {
        address next = vm.addr(STRANGER);
        bytes memory signature = rotation(MACHINE, next);
        checkpointer.rotate(next, signature);
        same(checkpointer.key(), next, "key");
        refusesFirst(proof(1), ICheckpointerContract.InvalidAttestation.selector);
        executeFirst(proofAt(STRANGER, image(1), 1, NOW, NOW + 1 hours));
        // Neither the old key nor its old word counts any more.
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(next, signature);
        bytes memory old = rotation(MACHINE, vm.addr(MACHINE));
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(vm.addr(MACHINE), old);
        bytes memory zero = rotation(STRANGER, address(0));
        vm.expectPartialRevert(ICheckpointerContract.InvalidRotation.selector);
        checkpointer.rotate(address(0), zero);
    }
}
