"""What callers of `softjpeg.corpus` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "dry_run.dry_run": "out=None",
    "engine.Entry": "rest=None, path=None",
    "engine.threads": "queued_bytes=268435456",
    "file_answers.read_files": "rules=None, most=500, jobs=1",
    "file_answers.equal_bytes_quality": "rules=None",
    "folders.encode_files": (
        "mode='hard', seed=0, manifest=False, rules=None, limits=Limits(pixels=178956970"
        ", bytes=1073741824, frames=1000, seconds=60.0), seconds=None, keep_smaller=False"
        ", requantize=False, retry='', verify=False, list_files=False, watching=None"
        ", jobs=1"
    ),
    "in_the_loop.encode_in_the_loop": (
        "effort=0, passes=0, by_size=False, seed=0, rules=None, retry='', verify=False"
        ", list_files=False, watching=None, jobs=1, batch_size=32"
    ),
    "in_the_loop.encode_presets_in_the_loop": (
        "subsamplings=(), mode='hard', effort=0, passes=0, by_size=False, seed=0"
        ", rules=None, retry='', verify=False, list_files=False, watching=None, jobs=1"
        ", batch_size=32"
    ),
    "limits.Limits": "pixels=89478485, bytes=67108864, frames=1000, seconds=60.0",
    "manifest.Manifest.publish": "left_out=None",
    "parquet_shards.encode_parquet": "prefix=''",
    "places.Place.shards": "besides=None",
    "processes.processes": "queued_bytes=268435456",
    "ray_engine.ray_workers": "queued_bytes=268435456",
    "requantizing.requantized_file": "metadata=True",
    "samples.Encoder": (
        "mode='hard', seed=0, rules=<factory>, limits=<factory>, options=<factory>"
        ", keep_smaller=False, requantize=False"
    ),
    "service.settings.Settings": (
        "limits=<factory>, token='', workers=1, queue_bytes=67108864, body_seconds=30.0"
    ),
    "service.settings.Order": "quality=None, mode='hard', max_bytes=None",
    "service.settings.Encoded": "remarks=(), quality=None",
    "service.workers.Workers.encode": "seconds=None",
    "shards.ShardSummary": (
        "shards=0, done=0, images=0, failed=0, bytes_in=0, bytes_out=0, kept=0"
        ", requantized=0, errors=<factory>, failures=<factory>"
    ),
    "shards.encode_shards": "jobs=1, retry='', verify=False, watching=None, engine='local'",
    "sources.SourceRules": (
        "follow_links=False, name_collision='error', background=(255, 255, 255), truncated='refuse'"
    ),
    "sources.jpeg_fault": "background=(255, 255, 255)",
    "tar_shards.encode_tar": "prefix=''",
    "targets.Plan": "jobs=(), inputs=(), failures=(), left_out=<factory>",
    "targets.plan_files": "rules=None",
    "watch.MostFailures": "count=None, percent=None",
    "watch.Watching": "progress=False, rows=None, metrics=None, most_failures=<factory>",
    "watch.watched": "total=None",
    "writing.EncodeSummary": (
        "written=0, done=0, bytes_in=0, bytes_out=0, kept=0, requantized=0"
        ", totals=<factory>, files=<factory>, failures=<factory>, errors=<factory>"
        ", left_out=<factory>, remarks=<factory>"
    ),
    "writing.Bookkeeping": (
        "settings=None, retry='', verify=False, list_files=False, watching=<factory>"
    ),
}


def test_defaults():
    assert defaults("corpus") == DEFAULTS
