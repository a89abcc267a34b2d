"""Blob stores: where uploaded files lie."""

BLOB_STORES = {
    "local": "stores.blobs.local:LocalBlobStore",
}
