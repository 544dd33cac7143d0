#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A generated picture and sound, filtered, encoded and decoded by threads; every frame's checksum.
# packages: ffmpeg
# tier: bracket
# min-faults: 2000
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P ffmpeg > /dev/null || { echo "no ffmpeg" && exit 77; }

ff()
{
	$NB_RUN ffmpeg -nostdin -v error -y "$@"
}

src=(-f lavfi -i 'testsrc2=s=640x360:r=25:d=3'
	-f lavfi -i 'sine=f=440:d=3:r=44100')
ff "${src[@]}" -threads 4 -c:v libx264 -preset veryfast -c:a aac \
	-flags +bitexact -fflags +bitexact a.mkv
sha256sum < a.mkv
ff -threads 4 -i a.mkv -map 0:v -f framemd5 - | sha256sum
ff -threads 4 -i a.mkv -map 0:a -f framemd5 - | sha256sum
for codec in ffv1 'mpeg4 -q:v 4' 'libvpx -deadline good -cpu-used 5'; do
	ff "${src[@]}" -threads 4 -filter_threads 2 -vf scale=320:-2,hflip \
		-c:v $codec -c:a flac -flags +bitexact -fflags +bitexact b.mkv
	ff -threads 4 -i b.mkv -f framemd5 - | sha256sum
done
ff -filter_complex_threads 3 -i a.mkv -filter_complex \
	'[0:v]split[x][y];[y]negate,scale=160:-2[z];[x][z]overlay=5:5' \
	-c:v rawvideo -f md5 -
