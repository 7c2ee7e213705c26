      *> Reads a file in records of 512 bytes, as batch programs do, and
      *> says how many there were; otherwise the file status.
       identification division.
       program-id. read-certificate.
       environment division.
       input-output section.
       file-control.
           select certificate assign to dynamic certificate-path
               organization is record sequential
               access mode is sequential
               file status is certificate-status.
       data division.
       file section.
       fd certificate.
       01 certificate-record pic x(512).
       working-storage section.
       01 certificate-path pic x(256).
       01 certificate-status pic xx.
       01 record-count pic 9(8) value 0.
       01 shown-count pic z(7)9.
       procedure division.
           accept certificate-path from argument-value
           open input certificate
           if certificate-status not = "00"
               display "status " certificate-status
               move 1 to return-code
               stop run
           end-if
           perform until certificate-status not = "00"
               read certificate
                   not at end add 1 to record-count
               end-read
           end-perform
           close certificate
           move record-count to shown-count
           display "records " shown-count
           stop run.
