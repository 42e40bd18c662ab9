// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Attestation} from "../interfaces/ISessions.sol";
import {Reader} from "./Reader.sol";

/// @title SessionAttestation
/// @notice Reads the identity signer's word about a session key, and hashes it.
library SessionAttestation {
    using Reader for bytes;

    /// @dev keccak256("acceptImplicitRequest")
    bytes32 private constant MAGIC_PREFIX = 0x8e8d158b02ab6dafbfd099155be84cfa8c39dda10b0b43d8bcc9de67c8d36bac;

    /// @notice Reads an attestation; `digest` is what the identity signer signed.
    function read(bytes calldata data, uint256 cursor)
        internal
        pure
        returns (Attestation memory attestation, bytes32 digest, uint256 next)
    {
        uint256 start = cursor;
        uint256 number;
        (attestation.approvedSigner, cursor) = data.account(cursor);
        (number, cursor) = data.number(cursor, 4);
        attestation.identityType = bytes4(uint32(number));
        (attestation.issuerHash, cursor) = data.word(cursor);
        (attestation.audienceHash, cursor) = data.word(cursor);
        bytes calldata text;
        (text, cursor) = data.sized(cursor, 3);
        attestation.applicationData = text;
        (text, cursor) = data.sized(cursor, 3);
        attestation.authData.redirectUrl = string(text);
        (number, next) = data.number(cursor, 8);
        attestation.authData.issuedAt = uint64(number);
        digest = keccak256(data[start:next]);
    }

    /// @notice What a contract answers that welcomes a call of this session for `wallet`.
    function magic(Attestation memory attestation, address wallet) internal pure returns (bytes32) {
        return
            keccak256(abi.encodePacked(MAGIC_PREFIX, wallet, attestation.audienceHash, attestation.issuerHash));
    }
}
