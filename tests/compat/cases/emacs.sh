#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Emacs: lists and its collector, a buffer, regular expressions, a process, and
# code compiled. It handles SIGSEGV itself, on a stack of its own.
# packages: emacs-nox
# tier: bracket
# min-faults: 20
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P emacs > /dev/null || { echo "no emacs" && exit 77; }
cat > work.el <<'END'
;;; -*- lexical-binding: t -*-
(defun sieve (n)
  (let ((v (make-vector n t)) (primes nil))
    (dotimes (i n)
      (when (and (> i 1) (aref v i))
        (push i primes)
        (let ((j (* i i)))
          (while (< j n) (aset v j nil) (setq j (+ j i))))))
    primes))
(defun deep (n)
  (if (> n 0) (1+ (deep (1- n))) 0))
(dotimes (_ 5) (garbage-collect) (sieve 100000))
(princ (format "%d primes\n" (length (sieve 100000))))
(with-temp-buffer
  (dotimes (i 20000) (insert (format "%d " (% (* i 7919) 10007))))
  (goto-char (point-min))
  (let ((n 0))
    (while (re-search-forward "\\b[0-9]*9[0-9]*\\b" nil t) (setq n (1+ n)))
    (princ (format "%d with a 9, %s\n" n (md5 (buffer-string)))))
  (call-process-region (point-min) (point-max) "tr" t t nil "0-9" "a-j")
  (princ (format "%s\n" (md5 (buffer-string)))))
(princ (condition-case err
           (let ((max-lisp-eval-depth 100000) (max-specpdl-size 100000))
             (deep 3000))
         (error (format "%S" err))))
(terpri)
END
$NB_RUN emacs --batch -Q -f batch-byte-compile work.el 2>&1
$NB_RUN emacs --batch -Q -l ./work.elc
