/// The images that the tables start from, with the places of what is in them: all made by the reference, so their
/// layout is known (qcow2 §10, §11). Cluster size 64 KiB: header at 0, refcount table at 0x10000, refcount block at
/// 0x20000, L1 at 0x30000, L2 at 0x40000, data from 0x50000.
let images = Fixture(
  "images",
  companions: [
    "data.qcow2": ["d.raw"], "mid.qcow2": ["base.raw"], "extop.qcow2": ["base.raw"],
    "top.qcow2": ["mid.qcow2", "base.raw"],
  ],
  [
    // Data at 0 (host 0x50000), 1M (0x60000, 0x70000), compressed at 3M (0x80000), a zero cluster at 128k.
    """
    qemu-img create -q -f qcow2 t.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -z 128k 64k' -c 'write -q -P 3 1M 100k' \\
      -c 'write -q -c -P 5 3M 64k' t.qcow2
    """,
    // Two snapshots: the table at 0xb0000, their L1s at 0x60000 and 0xa0000. Their dates (0xb0010 and 0xb0058) are always
    // the same, as they are lengths where a case has an entry begin in the middle of another.
    """
    qemu-img create -q -f qcow2 snap.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 64k' snap.qcow2
    qemu-img snapshot -c one snap.qcow2
    qemu-io -f qcow2 -c 'write -q -P 2 64k 64k' snap.qcow2
    qemu-img snapshot -c two snap.qcow2
    printf '\\145\\123\\361\\000\\016\\172\\213\\000' >date
    for i in 16 88; do dd if=date of=snap.qcow2 bs=1 seek=$((0xb0000 + i)) conv=notrunc status=none; done
    rm date
    """,
    // Two bitmaps: the extension at 0x1f8, the directory at 0xd0000.
    """
    qemu-img create -q -f qcow2 bm.qcow2 4M
    qemu-img bitmap --add bm.qcow2 b0
    qemu-img bitmap --add -g 4096 bm.qcow2 second
    qemu-io -f qcow2 -c 'write -q -P 1 1M 64k' bm.qcow2
    """,
    // Subclusters: 16-byte L2 entries.
    """
    qemu-img create -q -f qcow2 -o extended_l2=on ext.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 66k 2k' -c 'write -q -z 192k 8k' \\
      -c 'write -q -P 4 256k 6k' -c 'write -q -c -P 5 3M 64k' ext.qcow2
    """,
    """
    qemu-img create -q -f qcow2 -o data_file=d.raw data.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -z 128k 64k' -c 'write -q -P 3 1M 100k' data.qcow2
    """,
    """
    qemu-img create -q -f qcow2 -o compat=0.10 v2.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 3 1M 100k' v2.qcow2
    """,
    """
    qemu-img create -q -f qcow2 -o compression_type=zstd zstd.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -c -P 5 3M 64k' zstd.qcow2
    """,
    // Small clusters: several L2 tables and refcount blocks.
    """
    qemu-img create -q -f qcow2 -o cluster_size=512 small.qcow2 1M
    qemu-io -f qcow2 -c 'write -q -P 1 0 200k' -c 'write -q -P 2 800k 3k' small.qcow2
    """,
    """
    qemu-img create -q -f qcow2 -o refcount_bits=1,cluster_size=4k bits1.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 200k' bits1.qcow2
    """,
    // Lazy refcounts left dirty: the bit is set, the counts lag.
    """
    qemu-img create -q -f qcow2 -o lazy_refcounts=on lazy.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 256k' -c 'abort' lazy.qcow2 >/dev/null 2>&1 || true
    """,
    // A chain: top over middle over a raw base that is shorter.
    """
    qemu-img create -q -f raw base.raw 1M
    qemu-io -f raw -c 'write -q -P 9 0 1M' base.raw
    qemu-img create -q -f qcow2 -b base.raw -F raw mid.qcow2 3M
    qemu-io -f qcow2 -c 'write -q -P 8 512k 64k' -c 'write -q -z 256k 64k' -c 'write -q -P 7 2M 64k' mid.qcow2
    qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 6 64k 64k' -c 'write -q -z 2M 64k' -c 'write -q -P 5 3M 1k' top.qcow2
    """,
    """
    qemu-img create -q -f qcow2 -o extended_l2=on -b base.raw -F raw extop.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 6 2k 2k' -c 'write -q -z 64k 4k' -c 'write -q -P 5 1020k 10k' extop.qcow2
    """,
    """
    qemu-img create -q -f qcow2 empty.qcow2 4M
    qemu-img create -q -f qcow2 zero.qcow2 0
    truncate -s 0 zero.raw
    truncate -s 4M hole.raw
    truncate -s 1000 odd.raw
    printf 'hello world' >tiny.raw
    truncate -s 3000000 mixed.raw
    qemu-io -f raw -c 'write -q -P 1 64k 4k' -c 'write -q -P 2 1M 512k' -c 'write -q -P 3 2999296 512' mixed.raw
    """,
  ])

/// Encrypted images: the keys are random, but every case sees copies of the same files. The reference measures the
/// processor first and now and then gives up on a busy machine; then it is asked again.
let encryptedImages = Fixture(
  "encrypted",
  [
    """
    for attempt in 1 2 3 4 5 6 7 8; do
      qemu-img create -q -f qcow2 --object secret,id=s,data=pw \\
        -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 luks.qcow2 1M && break
    done
    qemu-img create -q -f qcow2 --object secret,id=s,data=pw -o encrypt.format=aes,encrypt.key-secret=s aes.qcow2 1M
    truncate -s 4M hole.raw
    """
  ])
