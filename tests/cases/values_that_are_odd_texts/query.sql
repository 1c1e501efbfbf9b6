WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."level" = 3 THEN 1 ELSE 0 END + CASE WHEN u."level" = 5 THEN 2 ELSE 0 END + CASE WHEN u."vip" THEN 4 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."level" = 3 OR u."level" = 5 OR u."vip"
)
SELECT user_id, CASE WHEN (m0 & 1) <> 0 THEN '' WHEN (m0 & 2) <> 0 THEN '  ' WHEN (m0 & 4) <> 0 THEN 'it''s ''THEN'' -- "' END AS value
FROM masks
WHERE ((m0 & 1) <> 0 OR (m0 & 2) <> 0 OR (m0 & 4) <> 0)
