WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN (u."credit" >= CAST('20.00' AS DECIMAL(4, 2)) AND u."credit" <= CAST('9000000000000000.00' AS DECIMAL(18, 2))) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE (u."credit" >= CAST('20.00' AS DECIMAL(4, 2)) AND u."credit" <= CAST('9000000000000000.00' AS DECIMAL(18, 2)))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
